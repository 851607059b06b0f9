import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { BenchDocument } from '../../bench/document.ts'

export const run = promisify(execFile)
export const main = path.join(import.meta.dirname, '../../bench/main.ts')

export interface BenchRun<Results> {
  readonly output: string
  /** Of the JSON file: each suite's results under its name. */
  readonly document: Results & BenchDocument
}

/** Runs benchmarks in a process of their own; rejects where the exit code is not 0. */
export async function runBench<Results>(args: string[], timeout: number): Promise<BenchRun<Results>> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-bench-json-'))
  try {
    const json = path.join(directory, 'results.json')
    const { stdout } = await run(process.execPath, [main, ...args, '--json', json], { timeout })
    return { output: stdout, document: JSON.parse(await readFile(json, 'utf8')) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { readRange, writeRange } from './ranges.ts'
import type { WritingReport, WritingTask } from './writing-program.ts'

const SECTOR = 512

/** Runs the program until it kills itself, or ends. */
export async function run(task: WritingTask): Promise<{ report: WritingReport | undefined; signal: string | null }> {
  const program = fileURLToPath(new URL('./writing-program.ts', import.meta.url))
  const child = spawn(process.execPath, [program, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [said, errors] = ['', '']
  child.stdout.on('data', (text) => {
    said += text
  })
  child.stderr.on('data', (text) => {
    errors += text
  })
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (...ended) => resolve(ended))
  )
  expect(code === 0 || signal === 'SIGKILL', errors).toBe(true)
  return { report: said === '' ? undefined : (JSON.parse(said) as WritingReport), signal }
}

/** Syncs cost nothing there; what they mean is up to this test. */
export function directoryInMemory(): string {
  const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const directory = fs.mkdtempSync(path.join(parent, 'tidemark-'))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** What was not synced may be lost, sector by sector: each is as it was then, or as it was written last. @param from  where the shadow begins in it */
export function losePower(file: string, from: number, draw: (bound: number) => number): number {
  const shadow = `${file}.shadow`
  if (!fs.existsSync(shadow)) return 0
  const then = fs.readFileSync(shadow)
  const now = readRange(file, { from, to: from + then.length })
  let lost = 0
  for (let at = 0; at < now.length; at += SECTOR) {
    const old = then.subarray(at, at + SECTOR)
    if (now.subarray(at, at + SECTOR).equals(old) || draw(2) === 0) continue
    now.set(old, at)
    lost++
  }
  writeRange(file, now, from)
  // All of it is on the disk now.
  fs.rmSync(shadow)
  return lost
}

import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { withCompiledThreads } from '../../bench/compiled-threads.ts'

beforeEach(() => {
  vi.stubEnv('NODE_COMPILE_CACHE', undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

/** Where a thread that is started now keeps what it has compiled. */
async function cacheOfThread(): Promise<string | undefined> {
  const source = `require('node:worker_threads').parentPort.postMessage(require('node:module').getCompileCacheDir())`
  const worker = new Worker(source, { eval: true, env: process.env })
  const [[directory]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  return directory
}

test('threads that are started meanwhile share what was compiled; nothing of it stays', async () => {
  const directory = await withCompiledThreads(cacheOfThread)
  expect(directory).toContain('tidemark-bench-')
  expect(existsSync(directory as string)).toBe(false)
  expect(process.env.NODE_COMPILE_CACHE).toBeUndefined()
  expect(await cacheOfThread()).toBeUndefined()
})

test('nothing of it stays when the measurement fails', async () => {
  let directory: string | undefined
  const failing = withCompiledThreads(async () => {
    directory = await cacheOfThread()
    throw new Error('a check')
  })
  await expect(failing).rejects.toThrow('a check')
  expect(existsSync(directory as string)).toBe(false)
  expect(process.env.NODE_COMPILE_CACHE).toBeUndefined()
})

test('a directory that the environment names is used and left alone', async () => {
  const given = mkdtempSync(join(tmpdir(), 'tidemark-given-'))
  onTestFinished(() => rmSync(given, { recursive: true }))
  vi.stubEnv('NODE_COMPILE_CACHE', given)
  expect(await withCompiledThreads(cacheOfThread)).toContain(given)
  expect(process.env.NODE_COMPILE_CACHE).toBe(given)
})

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { DemoResult } from '../../src/cli/demo-report.ts'
import type { SecondaryReport } from '../../src/index.ts'
import { seeded, temporaryDirectory } from '../api/support.ts'
import { type Running, run, start } from './support.ts'

const MIB = 2 ** 20

function write(directory: string, file: string, bytes: number): void {
  const random = seeded(bytes)
  mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
  writeFileSync(
    path.join(directory, file),
    Buffer.from(Array.from({ length: Math.min(bytes, 4096) }, () => random(256)))
  )
  if (bytes > 4096) writeFileSync(path.join(directory, file), Buffer.alloc(bytes - 4096, file), { flag: 'a' })
}

/** A demo that takes its time, in a directory that it has opened: from then on a signal is to be heard. */
async function startOpened(directory: string, ...args: string[]): Promise<Running> {
  const running = start(['demo', '--json', 'large', '--directory', 'copy', ...args], directory)
  while (!existsSync(path.join(directory, 'copy/volumes'))) await sleep(5)
  return running
}

async function demo(directory: string, ...args: string[]): Promise<DemoResult> {
  const { code, stdout, stderr } = await run(['demo', '--json', ...args], directory)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  // One document, nothing else.
  return JSON.parse(stdout) as DemoResult
}

function expectTimes(times: DemoResult['failover']): void {
  const { detectedMs, reassignedMs, redundantMs } = times as NonNullable<DemoResult['failover']>
  for (const ms of [detectedMs, reassignedMs, redundantMs]) expect(Number.isFinite(ms)).toBe(true)
  expect(detectedMs).toBeGreaterThanOrEqual(0)
  expect(reassignedMs).toBeGreaterThanOrEqual(detectedMs)
  expect(redundantMs).toBeGreaterThanOrEqual(reassignedMs)
}

describe('tidemark demo', () => {
  for (const bytes of [0, 1, 5, 65536, 65537]) {
    test(`a file of ${bytes} bytes: one component that holds it is killed, the copy is identical`, async () => {
      const directory = temporaryDirectory()
      write(directory, 'file', bytes)
      const result = await demo(directory, 'file')
      expect(result).toMatchObject({ ok: true, volumes: [{ name: 'file', bytes, match: true }], sets: 1 })
      expectTimes(result.failover)
      expect(result.kills).toHaveLength(1)
      expect(result.kills[0]).toMatchObject({ how: 'terminate', ...result.failover })
      expect(result.kills[0]?.movedUpdates).toBeGreaterThan(0)
      const copy = readFileSync(path.join(directory, 'tidemark-data/secondary/volumes/file.img'))
      expect(copy.equals(readFileSync(path.join(directory, 'file')))).toBe(true)
    })
  }

  test('a large input: a few kills, one of each kind, and medians of their times', async () => {
    const directory = temporaryDirectory()
    write(directory, 'large', 100 * MIB)
    const { ok, failover, kills, sets } = await demo(directory, 'large')
    expect(ok).toBe(true)
    expect(sets).toBeGreaterThan(0)
    expect(kills.map(({ how }) => how)).toEqual(['terminate', 'exit', 'throw', 'hang'])
    // Each of them another component.
    expect(new Set(kills.map(({ component }) => component)).size).toBe(kills.length)
    for (const kill of kills) expectTimes(kill)
    expectTimes(failover)
    for (const step of ['detectedMs', 'reassignedMs', 'redundantMs'] as const) {
      const sorted = kills.map((kill) => kill[step]).sort((a, b) => a - b) as [number, number, number, number]
      expect(failover?.[step]).toBeCloseTo((sorted[1] + sorted[2]) / 2, 2)
    }
  }, 60_000)

  test('--no-fail kills nobody', async () => {
    const directory = temporaryDirectory()
    write(directory, 'file', 1000)
    expect(await demo(directory, 'file', '--no-fail')).toMatchObject({ ok: true, failover: null, kills: [], sets: 1 })
    const { code, stdout } = await run(['demo', 'file', '--no-fail'], directory)
    expect(code).toBe(0)
    expect(stdout).toContain('no component was killed')
    expect(stdout).not.toContain('lost')
  })

  test('two components, several files: names are made fit, repeats are numbered', async () => {
    const directory = temporaryDirectory()
    const files = ['a name', '.hidden', 'one/same', 'two/same', 'nothing']
    for (const [n, file] of files.entries())
      write(directory, file, file === 'nothing' ? 0 : 1000 * n + 40 * MIB * +(n === 3))
    const result = await demo(directory, ...files, '--components', '2')
    expect(result.ok).toBe(true)
    expect(result.volumes.map(({ name }) => name)).toEqual(['a_name', '_hidden', 'same', 'same-2', 'nothing'])
    expect(result.kills).toHaveLength(2)
    expectTimes(result.failover)
  }, 60_000)

  test('people are told who was killed, how long it took, and that nothing was lost', async () => {
    const directory = temporaryDirectory()
    write(directory, 'small', 10)
    const small = await run(['demo', 'small'], directory)
    expect(small.stdout).toMatch(/^match {4}[0-9a-f]{64} {2}10 bytes {2}small\n1 set, /)
    expect(small.stdout).toContain('1 component killed in mid-period (terminate), 1 update copied anew from mirrors')
    for (const step of ['detected after', 'work reassigned after', 'redundant again after']) {
      expect(small.stdout).toMatch(new RegExp(`${step} +[0-9.]+ ms\n`))
    }
    expect(small.stdout).toContain('Nothing was lost')
    write(directory, 'large', 40 * MIB)
    const large = await run(['demo', 'large'], directory)
    expect(large.stdout).toContain('2 components killed in mid-period (terminate, exit)')
    expect(large.stdout).toMatch(/ p50 +p99 +max\n +detected after( +[0-9.]+ ms){3}\n/)
  }, 60_000)

  test('what cannot be replicated has its exit code', async () => {
    const directory = temporaryDirectory()
    write(directory, 'file', 10)
    const codes = await Promise.all(
      [['missing'], ['.'], ['file', '--components', '1'], ['file', '--fail'], ['file', '--drain-timeout', 'soon']].map(
        async (args) => (await run(['demo', '--json', ...args], directory)).code
      )
    )
    expect(codes).toEqual([4, 2, 2, 2, 2])
  })

  // Kills are under way for much of this time, one of them for the quarter of a second in which a component hangs.
  for (const [signal, afterMs] of [
    ['SIGINT', 0],
    ['SIGTERM', 200],
    ['SIGINT', 500],
    ['SIGTERM', 800]
  ] as const) {
    test(`the first ${signal}, ${afterMs} ms after it has begun, drains and ends with 0`, async () => {
      const directory = temporaryDirectory()
      write(directory, 'large', 150 * MIB)
      const { process, ended } = await startOpened(directory)
      await sleep(afterMs)
      process.kill(signal)
      const { code, stdout, stderr } = await ended
      // It may have been over by then.
      if (stdout !== '') return
      expect(stderr).toContain('interrupted: what was taken is in the secondary')
      expect(code).toBe(0)
      const { clean } = JSON.parse((await run(['inspect', '--json', 'copy'], directory)).stdout) as SecondaryReport
      expect(clean).toBe(true)
    })
  }

  test('--drain-timeout: it ends with 0, and says that not everything was drained', async () => {
    const directory = temporaryDirectory()
    write(directory, 'large', 300 * MIB)
    const { process, ended } = await startOpened(directory, '--no-fail', '--drain-timeout', '0ms')
    await sleep(200)
    process.kill('SIGTERM')
    const { code, stderr } = await ended
    expect(stderr).toContain('interrupted: not all of what was taken')
    expect(code).toBe(0)
  })

  test('the second signal ends at once', async () => {
    const directory = temporaryDirectory()
    write(directory, 'large', 300 * MIB)
    const { process, ended, said } = await startOpened(directory)
    process.kill('SIGTERM')
    await said('draining')
    process.kill('SIGTERM')
    expect((await ended).code).toBe(143)
  })
})

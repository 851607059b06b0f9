/** The benchmarks run to their end and check what they compute; how fast they are is not looked at. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../bench/checks.ts'
import { isHeld } from '../../bench/checks.ts'
import { countRight } from '../../bench/failover/images.ts'
import type { FailoverResult } from '../../bench/failover.ts'
import type { GroupResult } from '../../bench/group.ts'
import type { Latency } from '../../bench/latency.ts'
import type { Rate } from '../../bench/measure.ts'
import { expectedChecksum, foldPayload, makePayload, numberPayload } from '../../bench/payload.ts'
import type { RingResult } from '../../bench/ring.ts'
import { type BenchRun, main, run, runBench } from './support.ts'

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'))
})

afterAll(() => rm(directory, { recursive: true, force: true }))

describe('npm run bench -- ring group --quick --sizes 64 --components 2', () => {
  let output: string
  let document: BenchRun<{ ring: RingResult[]; group: GroupResult[] }>['document']

  beforeAll(async () => {
    ;({ output, document } = await runBench<{ ring: RingResult[]; group: GroupResult[] }>(
      ['ring', 'group', '--quick', '--sizes', '64', '--components', '2'],
      20_000
    ))
  })

  test('measures every contestant', () => {
    const names = ({ rates }: RingResult): string[] => rates.map((rate) => rate.name)
    expect(document.ring.map(names)).toEqual([['tidemark', 'ringbuf.js', 'postMessage']])
    expect(document.group.map(({ lengthBytes, components }) => [lengthBytes, components])).toEqual([[64, 2]])
    const rates: Rate[] = [
      ...document.ring.flatMap((result) => result.rates),
      ...document.group.flatMap(({ rate, postMessage }) => [rate, postMessage])
    ]
    for (const { median, lowest, highest, ratio, cpuNs } of rates) {
      for (const figure of [median, lowest, highest, ratio, cpuNs]) expect(figure).toBeGreaterThan(0)
      expect(median).toBeGreaterThanOrEqual(lowest)
      expect(median).toBeLessThanOrEqual(highest)
    }
  })

  test('measures latencies', () => {
    for (const { loaded, awaited, flushed } of document.group) {
      for (const { count, p50, p99, max } of [loaded, awaited, flushed]) {
        expect(count).toBeGreaterThan(0)
        expect(p50).toBeGreaterThan(0)
        expect(p99).toBeGreaterThanOrEqual(p50)
        expect(max).toBeGreaterThanOrEqual(p99)
      }
    }
  })

  test('checks what was computed', () => {
    expect(document.checks.filter((check) => !isHeld(check))).toEqual([])
    expect(document.ok).toBe(true)
    // Count and checksum of three ways, updates and bytes of the group, its bare path, and its postMessage.
    expect(document.checks).toHaveLength(11)
    for (const { expected } of document.checks) expect(expected).not.toBe(0)
  })

  test('says how to repeat it, draws what it measures, uses no colour without a terminal', () => {
    expect(output).toContain('again: npm run bench -- ring group --quick --sizes 64 --components 2')
    expect(output).toContain('source 0 (thread) --ring--> component 0 (thread)')
    expect(output).toContain('11 of 11 checks')
    expect(output).not.toContain('\u001b')
  })
})

// Threads are started again after each kill: that takes its time where other tests run.
const LONGEST_MS = 600_000

describe('npm run bench -- failover --quick', () => {
  let output: string
  let document: BenchRun<{ failover: FailoverResult }>['document']

  beforeAll(async () => {
    ;({ output, document } = await runBench<{ failover: FailoverResult }>(['failover', '--quick'], LONGEST_MS))
  }, LONGEST_MS)

  const isRising = ({ p50, p90, p99, max }: Latency): boolean => p50 <= p90 && p90 <= p99 && p99 <= max

  test('measures each kind of failure, both ways to take over, several mirrors, little and much', () => {
    const { kills } = document.failover
    expect(new Set(kills.map(({ setting }) => setting.how))).toEqual(new Set(['terminate', 'exit', 'throw', 'hang']))
    expect(new Set(kills.map(({ setting }) => setting.takeover))).toEqual(new Set(['spare', 'survivors']))
    expect(new Set(kills.map(({ setting }) => setting.mirrors))).toEqual(new Set([1, 2]))
    expect(new Set(kills.map(({ setting }) => setting.lengthBytes))).toEqual(new Set([64, 4096]))
    for (const { setting, detected, reassigned, redundant, waits, ...medians } of kills) {
      for (const latency of [detected, reassigned, redundant, waits.awaiting, waits.posting]) {
        expect(latency.count).toBe(setting.kills)
        expect(isRising(latency)).toBe(true)
      }
      expect(detected.max).toBeLessThanOrEqual(redundant.max)
      // What the dead one held is what is moved, within the evenness that is kept.
      for (const bytes of [medians.heldBytes, medians.movedBytes]) {
        expect(bytes).toBeGreaterThan(setting.heldBytes * 0.7)
        expect(bytes).toBeLessThan(setting.heldBytes * 1.4)
      }
      expect(medians.waitRatio.max).toBeGreaterThan(0)
    }
  })

  test('measures a bare failover beside them', () => {
    const { kills, fenced, redundant } = document.failover.bare
    for (const latency of [fenced, redundant]) {
      expect(latency.count).toBe(kills)
      expect(isRising(latency)).toBe(true)
    }
    expect(fenced.p50).toBeLessThan(redundant.p50)
    expect(output).toMatch(/until redundant, [\d.]+ times \(p50\), [\d.]+ times \(p99\) as long as this/)
  })

  test('measures a blocked host beside a free one', () => {
    const { kills, sides } = document.failover.blocked
    expect(sides.map(({ mainThread }) => mainThread)).toEqual(['free', 'free, another one blocked', 'blocked'])
    for (const { awaiting, posting, redundantMs } of sides) {
      for (const values of [awaiting, posting, redundantMs]) expect(values).toHaveLength(kills)
      expect(Math.min(...awaiting, ...posting, ...redundantMs)).toBeGreaterThan(0)
    }
  })

  test('measures kills under pressure of memory', () => {
    const { fullMemory } = document.failover
    expect(fullMemory.some(({ setting }) => setting.isOnDisk)).toBe(true)
    for (const { setting, redundant, sets, setsClosedEarly, updatesPerSecond } of fullMemory) {
      expect(redundant.count).toBe(setting.kills)
      expect(isRising(redundant)).toBe(true)
      expect(setsClosedEarly).toBeGreaterThan(0)
      expect(sets).toBeGreaterThan(0)
      expect(updatesPerSecond).toBeGreaterThan(0)
    }
  })

  test('checks what was acknowledged, and the bytes of files', () => {
    expect(document.checks.filter((check) => !isHeld(check))).toEqual([])
    expect(document.ok).toBe(true)
    const named = (what: string): Check[] => document.checks.filter(({ name }) => name.endsWith(what))
    const groups = document.failover.kills.length + 1 + document.failover.fullMemory.length
    for (const what of ['updates in applied sets', 'bytes in applied sets']) {
      expect(named(what)).toHaveLength(groups)
      for (const { expected } of named(what)) expect(expected).toBeGreaterThan(0)
    }
    expect(named('bytes of files as last written')).toMatchObject([{ expected: 4 * 2 ** 20 }])
  })

  test('prints what is wanted beside what was found', () => {
    expect(output).toContain('4 KiB, terminate, a spare takes over, 1 mirror, 8 MiB held: 10 kills after 3 to warm up')
    expect(output).toMatch(/4 KiB, terminate, spare: redundant, p50: [\d.]+ ms \(wanted: at most 5\) (PASS|missed)/)
    const first = { suite: 'failover', what: '4 KiB, terminate, spare: redundant, p50', wanted: 'at most 5' }
    expect(document.verdicts[0]).toMatchObject({ ...first, isMet: expect.any(Boolean) })
  })
})

test('a byte of a volume file that is not as last written is noticed', async () => {
  const [file, ownBytes] = [path.join(directory, 'volume.img'), 8]
  const image = Uint8Array.from({ length: 2 * ownBytes }, (_, n) => n)
  await writeFile(file, image)
  const models = (): Uint8Array[][] => [[image.slice(0, ownBytes)], [image.slice(ownBytes)]]
  expect(await countRight([file], models(), ownBytes)).toBe(16)
  const wrong = models()
  wrong[1]?.[0]?.set([255], 3)
  expect(await countRight([file], wrong, ownBytes)).toBe(15)
  await writeFile(file, image.subarray(1))
  expect(await countRight([file], models(), ownBytes)).toBe(0)
})

test('a wrong argument is refused with exit code 2', async () => {
  await expect(run(process.execPath, [main, 'rings'])).rejects.toMatchObject({ code: 2 })
  await expect(run(process.execPath, [main, '--sizes', '100'])).rejects.toMatchObject({ code: 2 })
})

describe('the checksum of payloads', () => {
  const lengthBytes = 64
  const payloads = (numbers: number[]): number => {
    const words = makePayload(new ArrayBuffer(lengthBytes), 0, lengthBytes)
    return numbers.reduce((sum, number, n) => {
      numberPayload(words, number)
      return foldPayload(sum, words, 0, words.length, n)
    }, 0)
  }

  test('holds for all payloads in their order, only', () => {
    const right = expectedChecksum(lengthBytes, 4)
    expect(payloads([0, 1, 2, 3])).toBe(right)
    expect(payloads([0, 2, 1, 3])).not.toBe(right)
    expect(payloads([0, 1, 1, 3])).not.toBe(right)
    expect(payloads([0, 1, 3, 4])).not.toBe(right)
  })
})

/** The benchmarks run to their end and check what they compute; how fast they are is not looked at. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../bench/checks.ts'
import { isHeld } from '../../bench/checks.ts'
import type { GroupResult } from '../../bench/group.ts'
import type { Rate } from '../../bench/measure.ts'
import { expectedChecksum, foldPayload, makePayload, numberPayload } from '../../bench/payload.ts'
import type { RingResult } from '../../bench/ring.ts'

const run = promisify(execFile)
const main = path.join(import.meta.dirname, '../../bench/main.ts')

interface Document {
  readonly ring: RingResult[]
  readonly group: GroupResult[]
  readonly checks: Check[]
  readonly ok: boolean
}

describe('npm run bench -- --quick --sizes 64 --components 2', () => {
  let directory: string
  let output: string
  let document: Document

  beforeAll(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'))
    const json = path.join(directory, 'bench.json')
    const args = [main, '--quick', '--sizes', '64', '--components', '2', '--json', json]
    // Rejects where the exit code is not 0.
    output = (await run(process.execPath, args, { timeout: 20_000 })).stdout
    document = JSON.parse(await readFile(json, 'utf8'))
  })

  afterAll(() => rm(directory, { recursive: true, force: true }))

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
    // Count and checksum of three ways, updates and bytes of the group, and its postMessage.
    expect(document.checks).toHaveLength(10)
    for (const { expected } of document.checks) expect(expected).not.toBe(0)
  })

  test('says how to repeat it, draws what it measures, uses no colour without a terminal', () => {
    expect(output).toContain('again: npm run bench -- --quick --sizes 64 --components 2')
    expect(output).toContain('source 0 (thread) --ring--> component 0 (thread)')
    expect(output).toContain('10 of 10 checks')
    expect(output).not.toContain('\u001b')
  })
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

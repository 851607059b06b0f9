/** Latencies at a rate, and variations of the group, are measured to the end; how good they are is not looked at. */
import { beforeAll, describe, expect, test } from 'vitest'
import { isHeld } from '../../bench/checks.ts'
import type { LatencyResult } from '../../bench/latency-suite.ts'
import type { VariationResult } from '../../bench/variations.ts'
import { type BenchRun, runBench } from './support.ts'

// Some 20 seconds of a machine to itself.
const LONGEST_MS = 180_000

describe('npm run bench -- latency variations --quick --sizes 64', () => {
  let run: BenchRun<{ latency: LatencyResult[]; variations: VariationResult[] }>

  beforeAll(async () => {
    run = await runBench(['latency', 'variations', '--quick', '--sizes', '64'], LONGEST_MS)
  }, LONGEST_MS)

  test('measures latencies at both rates, of the group and of the bare path at two rates', () => {
    expect(run.document.latency.map(({ lengthBytes, part }) => [lengthBytes, part])).toEqual([
      [64, 0.1],
      [64, 0.8]
    ])
    for (const { group, bare, bareOwn, ratio, ratioOwn, highestRate } of run.document.latency) {
      for (const { count, p50, p99, max } of [group, bare, bareOwn]) {
        expect(count).toBeGreaterThan(0)
        expect(p50).toBeGreaterThan(0)
        expect(p99).toBeGreaterThanOrEqual(p50)
        expect(max).toBeGreaterThanOrEqual(p99)
      }
      for (const figure of [ratio.p50, ratio.p99, ratioOwn.p50, ratioOwn.p99, highestRate]) {
        expect(figure).toBeGreaterThan(0)
      }
    }
  })

  test('measures variations beside the usual group', () => {
    const { variations } = run.document
    expect(variations.map(({ name }) => name)).toContain('2 mirrors')
    for (const { rate, usual, rateRatio, costRatio, sets } of variations) {
      for (const figure of [rate.median, usual.median, rateRatio, costRatio, sets]) expect(figure).toBeGreaterThan(0)
    }
    const wanted = variations.filter((variation) => variation.wanted !== undefined).length
    expect(run.document.verdicts?.filter(({ suite }) => suite === 'variations')).toHaveLength(wanted)
  })

  test('checks what was computed, also on the bare path', () => {
    const { checks, ok } = run.document
    expect(checks.filter((check) => !isHeld(check))).toEqual([])
    expect(ok).toBe(true)
    expect(checks.map(({ name }) => name)).toContain('bare path of 4, 64 B: updates that were sequenced')
    for (const { expected } of checks) expect(expected).toBeGreaterThan(0)
  })
})

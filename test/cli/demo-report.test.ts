import { expect, describe as suite, test } from 'vitest'
import type { Kill } from '../../src/cli/demo-kills.ts'
import { describe, type Figures, resultOf } from '../../src/cli/demo-report.ts'

function kill(how: Kill['how'], detectedMs: number, reassignedMs: number, redundantMs: number): Kill {
  const report = { view: 2, reason: 'failed', component: 1, movedUpdates: 3, movedBytes: 300 } as const
  return { how, report: { ...report, detectedMs, reassignedMs, redundantMs } }
}

const three = [kill('terminate', 1, 2, 9), kill('exit', 3, 4, 5), kill('throw', 2, 8, 10.12345)]

function figures(kills: readonly Kill[], match = true): Figures {
  const volumes = [
    { name: 'a', bytes: 2 ** 20, sha256: 'aa', match: true },
    { name: 'b', bytes: 2 ** 20, sha256: 'bb', match }
  ]
  return { volumes, updates: 10, seconds: 2, sets: 3, kills }
}

suite('what the demo tells', () => {
  test('medians, each over all kills', () => {
    expect(resultOf(figures(three))).toMatchObject({
      ok: true,
      updatesPerSecond: 5,
      bytesPerSecond: 2 ** 20,
      failover: { detectedMs: 2, reassignedMs: 4, redundantMs: 9 },
      sets: 3
    })
    expect(resultOf(figures(three.slice(0, 2))).failover).toEqual({ detectedMs: 2, reassignedMs: 3, redundantMs: 7 })
    expect(resultOf(figures(three.slice(2))).failover).toEqual({
      detectedMs: 2,
      reassignedMs: 8,
      redundantMs: 10.123
    })
    expect(resultOf(figures([])).failover).toBeNull()
  })

  test('that nothing was lost is said only where all is identical after a kill', () => {
    expect(describe(resultOf(figures(three)), 'copy')).toContain('Nothing was lost')
    expect(describe(resultOf(figures([])), 'copy')).not.toContain('Nothing was lost')
    const differing = describe(resultOf(figures(three, false)), 'copy')
    expect(differing).not.toContain('Nothing was lost')
    expect(differing).toContain('DIFFERS  bb')
    expect(resultOf(figures(three, false)).ok).toBe(false)
  })

  test('no percentile is above the largest value', () => {
    const text = describe(resultOf(figures(three)), 'copy')
    expect(text).toMatch(/detected after +2\.00 ms +3\.00 ms +3\.00 ms\n/)
    expect(text).toMatch(/redundant again after +9\.0\d ms +10\.1 ms +10\.1 ms\n/)
  })
})

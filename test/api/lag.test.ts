import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { TidemarkError } from '../../src/index.ts'
import { openTestGroup, temporaryDirectory } from './support.ts'

const LONG_MS = 3600_000

describe('R19: a target for the lag', () => {
  test('periods are as short as the target needs them to be, also while nobody writes', async () => {
    const secondary = { directory: temporaryDirectory() }
    const group = await openTestGroup({ secondary, formationPeriodMs: LONG_MS, lagTargetMs: 200 })
    const source = group.openSource('s')
    for (let n = 0; n < 3; n++) {
      await source.volume('a').write(0, Buffer.of(n))
      await group.whenApplied()
    }
    const { applied } = group.status().sets
    const report = await group.whenApplied(applied + 2)
    expect(report).toMatchObject({ updates: 0, state: 'applied' })
    expect(report.consistencyTime).toBeGreaterThan(0)
  })

  test('a warning says that the copy is older than that, once', async () => {
    const secondary = { directory: temporaryDirectory() }
    const group = await openTestGroup({ secondary, formationPeriodMs: LONG_MS, lagTargetMs: 50 })
    const warnings: TidemarkError[] = []
    group.on('warning', (error) => warnings.push(error))
    const hold = await group.holdApplied()
    const [warning] = (await once(group, 'warning')) as [TidemarkError]
    expect(warning.code).toBe('TIDEMARK_LAG')
    expect(warning.details).toMatchObject({ lagTargetMs: 50, periodMs: expect.any(Number) })
    expect(warning.details.lagMs).toBeGreaterThanOrEqual(100)
    // Several sets later still that one.
    const { formed } = group.status().sets
    while (group.status().sets.formed < formed + 3) await once(group, 'set')
    expect(warnings).toHaveLength(1)
    hold.release()
    await group.whenApplied(formed + 3)
  })
})

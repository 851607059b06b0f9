/** R9, R19: how long periods are, and that a target for the lag is held by the longest that will do. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Period } from '../../src/protocol/period.ts'

/** Sets one after the other: draining one takes `fixedMs`, and `share` of the period in which it was written. */
class Secondary {
  nowMs = 0
  oldestMs = 0
  readonly period: Period
  private endedAtMs = 0
  private freeAtMs = 0

  constructor(setting: { periodMs: number; lagTargetMs?: number }) {
    this.period = new Period(setting, 0)
  }

  next(fixedMs: number, share: number, updates = 1): void {
    const { lengthMs } = this.period
    const before = this.endedAtMs
    this.endedAtMs += lengthMs
    const appliedAt = Math.max(this.endedAtMs, this.freeAtMs) + fixedMs + share * lengthMs
    this.freeAtMs = appliedAt
    this.oldestMs = appliedAt - before
    this.nowMs = appliedAt
    this.period.applied(this.endedAtMs, appliedAt, updates)
  }
}

describe('how long periods are', () => {
  test('as long as was asked for, whatever the secondary does', () => {
    const secondary = new Secondary({ periodMs: 250 })
    for (const share of [0, 0.5, 3]) secondary.next(10, share)
    expect(secondary.period.lengthMs).toBe(250)
    expect(secondary.period.lagToWarnOf(1e6)).toBeUndefined()
  })

  test('never longer than was asked for', () => {
    const secondary = new Secondary({ periodMs: 100, lagTargetMs: 5000 })
    for (let n = 0; n < 20; n++) secondary.next(1, 0)
    expect(secondary.period.lengthMs).toBe(100)
  })

  test('the target is held while the secondary is a good deal faster than what is written, by most of what it allows', () => {
    const target = fc.integer({ min: 50, max: 10_000 })
    fc.assert(
      fc.property(target, fc.double({ min: 0, max: 0.7, noNaN: true }), (lagTargetMs, share) => {
        const secondary = new Secondary({ periodMs: 3600_000, lagTargetMs })
        for (let n = 0; n < 30; n++) secondary.next(lagTargetMs / 20, share)
        expect(secondary.oldestMs).toBeLessThanOrEqual(lagTargetMs)
        // Not shorter than it need be.
        expect(secondary.oldestMs).toBeGreaterThan(lagTargetMs * 0.8)
        expect(secondary.period.lagToWarnOf(secondary.nowMs)).toBeUndefined()
      })
    )
  })

  test('it follows a secondary that becomes slower, and faster again', () => {
    const secondary = new Secondary({ periodMs: 3600_000, lagTargetMs: 1000 })
    const settled = (share: number): number => {
      for (let n = 0; n < 30; n++) secondary.next(5, share)
      expect(secondary.oldestMs).toBeLessThanOrEqual(1000)
      return secondary.period.lengthMs
    }
    const fast = settled(0.1)
    const slow = settled(0.7)
    expect(slow).toBeLessThan(fast * 0.8)
    expect(settled(0.1)).toBeCloseTo(fast, 0)
  })

  test('sets that hold nothing do not make it longer', () => {
    const secondary = new Secondary({ periodMs: 3600_000, lagTargetMs: 1000 })
    for (let n = 0; n < 30; n++) secondary.next(5, 0.7)
    const before = secondary.period.lengthMs
    for (let n = 0; n < 30; n++) secondary.next(0, 0, 0)
    expect(secondary.period.lengthMs).toBe(before)
  })

  test('a secondary that is too slow leaves a tenth of the target', () => {
    const secondary = new Secondary({ periodMs: 3600_000, lagTargetMs: 1000 })
    for (let n = 0; n < 30; n++) secondary.next(5, 2)
    expect(secondary.period.lengthMs).toBe(100)
  })
})

describe('the warning', () => {
  test('comes once, when the age has been over the target for as long as the target is', () => {
    const period = new Period({ periodMs: 1000, lagTargetMs: 1000 }, 0)
    expect(period.lagToWarnOf(1000)).toBeUndefined()
    expect(period.lagToWarnOf(1001)).toBeUndefined()
    expect(period.lagToWarnOf(2000)).toBeUndefined()
    expect(period.lagToWarnOf(2001)).toBe(2001)
    expect(period.lagToWarnOf(9000)).toBeUndefined()
  })

  test('comes again only after the target was held', () => {
    const period = new Period({ periodMs: 1000, lagTargetMs: 1000 }, 0)
    period.lagToWarnOf(1001)
    expect(period.lagToWarnOf(3000)).toBe(3000)
    // Applied, but late: still not held.
    period.applied(2500, 3000, 1)
    expect(period.lagToWarnOf(3600)).toBeUndefined()
    period.applied(3400, 3450, 1)
    expect(period.lagToWarnOf(4401)).toBeUndefined()
    expect(period.lagToWarnOf(5401)).toBe(2001)
  })
})

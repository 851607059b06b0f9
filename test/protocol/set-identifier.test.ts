/** R9: set identifiers as low bits that wrap. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expandSet, isAfter, lowBits } from '../../src/protocol/set-identifier.ts'
import { each, TestGroup } from './harness.ts'

/** Anywhere, and often next to where the low 32 bits wrap or change their sign. */
const set = fc.oneof(
  fc.integer({ min: 1, max: 2 ** 52 }),
  fc
    .tuple(fc.integer({ min: 1, max: 2 ** 20 }), fc.constantFrom(2 ** 31, 2 ** 32), fc.integer({ min: -20, max: 20 }))
    .map(([times, power, near]) => times * power + near)
)
const distance = fc.oneof(fc.integer({ min: -16, max: 16 }), fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }))

describe('R9: set identifiers', () => {
  test('isAfter compares low bits as whole identifiers less than 2^31 apart would', () => {
    fc.assert(
      fc.property(set, distance, (a, by) => {
        expect(isAfter(lowBits(a + by), lowBits(a))).toBe(by > 0)
      }),
      { numRuns: 1000 }
    )
  })

  test('expandSet gives the whole identifier back', () => {
    fc.assert(
      fc.property(set, distance, (near, by) => {
        expect(expandSet(lowBits(near + by), near)).toBe(near + by)
      }),
      { numRuns: 1000 }
    )
  })

  test.each([2 ** 31 - 3, 2 ** 32 - 3, 2 ** 40 + 2 ** 31 - 2])(
    'sets go on, are conserved and applied, where their low bits wrap (from %i)',
    (firstSet) => {
      const group = new TestGroup({ firstSet, secondaries: 2 })
      const source = group.openSource(1)
      for (let n = 0; n < 20; n++) {
        const ordinal = source.post({ volume: n % 3, fill: n + 1 })
        group.settle()
        expect(source.receipt(ordinal)).toMatchObject({ set: (firstSet + n) | 0, sequence: 1 })
        expect(group.closeSet()).toBe(firstSet + n)
        expect(group.coordinator.appliedSet).toBe(firstSet + n)
        expect(group.images[n % 3]?.[0]).toBe(n + 1)
      }
      const formed = group.reports.filter((report) => report.state === 'formed')
      expect(formed.map((report) => [report.set, report.updates])).toEqual(each(20, (n) => [firstSet + n, 1]))
    }
  )

  test('identifiers below a ceiling are handed out only after it was raised', () => {
    const group = new TestGroup({ firstSet: 77 })
    expect(group.ceilings[0]).toBeGreaterThan(77)
    for (let n = 0; n < 2500; n++) {
      group.closeSet()
      expect(group.ceilings.at(-1)).toBeGreaterThanOrEqual(group.coordinator.formingSet)
    }
    expect(group.ceilings.length).toBeLessThan(10)
  })
})

/** R7: who mirrors for whom, as properties of the pure rules. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mirrorsOf, onwardOf } from '../../src/protocol/members.ts'

const group = fc.integer({ min: 2, max: 64 }).chain((count) =>
  fc.record({
    count: fc.constant(count),
    mirrors: fc.integer({ min: 1, max: count - 1 }),
    responsible: fc.integer({ min: 0, max: count - 1 }),
    distance: fc.integer({ min: 1, max: count - 1 })
  })
)

describe('R7: members', () => {
  test('mirrorsOf: as many as asked, distinct, in the group, never the responsible one, the first one first', () => {
    fc.assert(
      fc.property(group, ({ count, mirrors, responsible, distance }) => {
        const first = (responsible + distance) % count
        const slots = mirrorsOf(responsible, first, mirrors, count)
        expect(slots).toHaveLength(mirrors)
        expect(new Set(slots).size).toBe(mirrors)
        expect(slots).not.toContain(responsible)
        expect(slots[0]).toBe(first)
        expect(slots.every((slot) => slot >= 0 && slot < count)).toBe(true)
      })
    )
  })

  test('onwardOf: one fewer than mirrors, distinct, in the group, neither the responsible one nor the taker', () => {
    fc.assert(
      fc.property(group, ({ count, mirrors, responsible, distance }) => {
        const taker = (responsible + distance) % count
        const slots = onwardOf(responsible, taker, mirrors, count)
        expect(slots).toHaveLength(mirrors - 1)
        expect(new Set([...slots, responsible, taker]).size).toBe(mirrors + 1)
        expect(slots.every((slot) => slot >= 0 && slot < count)).toBe(true)
      })
    )
  })

  test('onwardOf: over all takers, every other component is passed equally much', () => {
    fc.assert(
      fc.property(group, ({ count, mirrors, responsible }) => {
        const load = new Array<number>(count).fill(0)
        for (let distance = 1; distance < count; distance++) {
          for (const slot of onwardOf(responsible, (responsible + distance) % count, mirrors, count)) {
            load[slot] = (load[slot] ?? 0) + 1
          }
        }
        expect(load[responsible]).toBe(0)
        const others = load.filter((_, slot) => slot !== responsible)
        expect(new Set(others)).toEqual(new Set([mirrors - 1]))
      })
    )
  })

  test('both are alike seen from any place of the group: turning it around turns the answer', () => {
    fc.assert(
      fc.property(group, fc.nat(63), ({ count, mirrors, responsible, distance }, turn) => {
        const turned = (slot: number): number => (slot + turn) % count
        const taker = (responsible + distance) % count
        expect(onwardOf(turned(responsible), turned(taker), mirrors, count)).toEqual(
          onwardOf(responsible, taker, mirrors, count).map(turned)
        )
        expect(mirrorsOf(turned(responsible), turned(taker), mirrors, count)).toEqual(
          mirrorsOf(responsible, taker, mirrors, count).map(turned)
        )
      })
    )
  })
})

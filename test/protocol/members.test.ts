/** R7: who mirrors for whom, as properties of the pure rules. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mirrorChoices, mirrorsOf, onwardOf } from '../../src/protocol/members.ts'
import { each } from './harness.ts'

/** Any slots in rising order; the responsible one and another one are among them. */
const group = fc
  .uniqueArray(fc.integer({ min: 0, max: 63 }), { minLength: 2, maxLength: 64 })
  .map((slots) => slots.sort((a, b) => a - b))
  .chain((members) =>
    fc.record({
      members: fc.constant(members),
      mirrors: fc.integer({ min: 1, max: members.length - 1 }),
      at: fc.integer({ min: 0, max: members.length - 1 }),
      distance: fc.integer({ min: 1, max: members.length - 1 })
    })
  )

/** The member `by` places further around the group. */
function around(members: readonly number[], at: number, by = 0): number {
  return members[(at + by) % members.length] as number
}

describe('R7: members', () => {
  test('mirrorsOf: as many as asked, distinct, in the group, never the responsible one, the first one first', () => {
    fc.assert(
      fc.property(group, ({ members, mirrors, at, distance }) => {
        const responsible = around(members, at)
        const first = around(members, at, distance)
        const slots = mirrorsOf(members, responsible, first, mirrors)
        expect(slots).toHaveLength(mirrors)
        expect(new Set(slots).size).toBe(mirrors)
        expect(slots).not.toContain(responsible)
        expect(slots[0]).toBe(first)
        expect(slots.every((slot) => members.includes(slot))).toBe(true)
      })
    )
  })

  test('onwardOf: one fewer than mirrors, distinct, in the group, neither the responsible one nor the taker', () => {
    fc.assert(
      fc.property(group, ({ members, mirrors, at, distance }) => {
        const responsible = around(members, at)
        const taker = around(members, at, distance)
        const slots = onwardOf(members, responsible, taker, mirrors)
        expect(slots).toHaveLength(mirrors - 1)
        expect(new Set([...slots, responsible, taker]).size).toBe(mirrors + 1)
        expect(slots.every((slot) => members.includes(slot))).toBe(true)
      })
    )
  })

  test('onwardOf: over all takers, every other component is passed equally much', () => {
    fc.assert(
      fc.property(group, ({ members, mirrors, at }) => {
        const responsible = around(members, at)
        const load = new Map<number, number>(members.map((slot) => [slot, 0]))
        for (const taker of members) {
          if (taker === responsible) continue
          for (const slot of onwardOf(members, responsible, taker, mirrors)) load.set(slot, (load.get(slot) ?? 0) + 1)
        }
        expect(load.get(responsible)).toBe(0)
        load.delete(responsible)
        expect(new Set(load.values())).toEqual(new Set([mirrors - 1]))
      })
    )
  })

  test('mirrorChoices: every other member is the first of one of them, and each choice has as many as asked', () => {
    fc.assert(
      fc.property(group, ({ members, mirrors, at }) => {
        const responsible = around(members, at)
        const others = members.filter((slot) => slot !== responsible)
        const choices = mirrorChoices(members, responsible, mirrors)
        expect(choices.map((slots) => slots[0]).sort((a = 0, b = 0) => a - b)).toEqual(others)
        for (const slots of choices) expect(slots).toEqual(mirrorsOf(members, responsible, slots[0] ?? -1, mirrors))
        // The first choice begins with the next one around the group: partners of different components differ.
        expect(choices[0]?.[0]).toBe(around(members, at, 1))
      })
    )
  })

  test('mirrorChoices: none where there are too few members, or when only oneself stays', () => {
    fc.assert(
      fc.property(group, ({ members, at }) => {
        expect(mirrorChoices(members, around(members, at), members.length)).toEqual([])
      })
    )
    expect(mirrorChoices([5], 5, 1)).toEqual([])
    expect(mirrorChoices([], 5, 1)).toEqual([])
  })

  test('one that leaves (and is not among those that copies go to) still mirrors to those that stay', () => {
    expect(mirrorChoices([1, 4, 9], 6, 2)).toEqual([
      [9, 1],
      [1, 4],
      [4, 9]
    ])
    expect(onwardOf([1, 4, 9], 6, 1, 2)).toEqual([4])
    expect(onwardOf([1, 4, 9], 4, 6, 2)).toEqual([9])
  })

  test('both are alike seen from any place of the group: turning it around turns the answer', () => {
    fc.assert(
      fc.property(group, fc.nat(63), ({ members, mirrors, at, distance }, turn) => {
        const turned = (slot: number): number => around(members, members.indexOf(slot), turn)
        const responsible = around(members, at)
        const taker = around(members, at, distance)
        expect(onwardOf(members, turned(responsible), turned(taker), mirrors)).toEqual(
          onwardOf(members, responsible, taker, mirrors).map(turned)
        )
        expect(mirrorsOf(members, turned(responsible), turned(taker), mirrors)).toEqual(
          mirrorsOf(members, responsible, taker, mirrors).map(turned)
        )
      })
    )
  })

  test('only the order of the slots counts, not their numbers', () => {
    fc.assert(
      fc.property(group, ({ members, mirrors, at, distance }) => {
        const places = each(members.length, (n) => n)
        const far = (at + distance) % members.length
        const named = (place: number): number => members[place] as number
        expect(onwardOf(members, named(at), named(far), mirrors)).toEqual(onwardOf(places, at, far, mirrors).map(named))
        expect(mirrorsOf(members, named(at), named(far), mirrors)).toEqual(
          mirrorsOf(places, at, far, mirrors).map(named)
        )
      })
    )
  })
})

/** Who holds an update in a new view: the rule by which a change of view decides that, as properties. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bitsOf, HolderRule, hasSlot, type NewView, slotsOf } from '../../src/protocol/holders.ts'
import { each } from './harness.ts'

const slot = fc.integer({ min: 0, max: 63 })

function inOrder(slots: readonly number[]): number[] {
  return [...slots].sort((a, b) => a - b)
}

interface Case {
  view: NewView
  held: readonly number[]
  responsible: number
  spread: number
}

/** Any view; who held the update: any slots, also of those that are gone; any member is responsible now. */
const anyCase: fc.Arbitrary<Case> = fc
  .record({
    members: fc.uniqueArray(slot, { minLength: 1, maxLength: 16 }).map(inOrder),
    mirrors: fc.integer({ min: 1, max: 4 })
  })
  .chain(({ members, mirrors }) =>
    fc.record({
      members: fc.constant(members),
      mirrors: fc.constant(mirrors),
      leaving: fc.subarray([...members]),
      fresh: fc.subarray([...members]),
      // Mostly of the view, so that there are survivors.
      held: fc.uniqueArray(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...members) }, slot), { maxLength: 6 }),
      responsible: fc.constantFrom(...members),
      spread: fc.integer({ min: 0, max: 2 ** 32 - 1 })
    })
  )
  .map(({ members, mirrors, leaving, fresh, held, responsible, spread }) => {
    const staying = members.filter((member) => !leaving.includes(member))
    const eligible = staying.length > mirrors ? staying : members
    return { view: { members, eligible, fresh, mirrors }, held, responsible, spread }
  })

function decided({ view, held, responsible, spread }: Case, rule = new HolderRule(view)) {
  const { low, high } = bitsOf(held)
  rule.decide(low, high, responsible, spread)
  return {
    has: slotsOf(rule.hasLow, rule.hasHigh),
    next: slotsOf(rule.nextLow, rule.nextHigh),
    isMissing: rule.isMissing,
    sender: rule.sender(responsible, spread)
  }
}

describe('sets of slots in two words', () => {
  test('from slots to bits and back, up to slot 63', () => {
    fc.assert(
      fc.property(fc.uniqueArray(slot).map(inOrder), (slots) => {
        const { low, high } = bitsOf(slots)
        expect([low | 0, high | 0]).toEqual([low, high])
        expect(slotsOf(low, high)).toEqual(slots)
        expect(each(64, (n) => n).filter((n) => hasSlot(low, high, n))).toEqual(slots)
      })
    )
    expect(bitsOf([0, 31, 32, 63])).toEqual({ low: 1 | (1 << 31), high: 1 | (1 << 31) })
  })
})

describe('who holds an update in a new view', () => {
  test('the responsible one, every member that held it, and whoever took the place of one that held it', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { members } = given.view
        const { next } = decided(given)
        expect(next).toContain(given.responsible)
        // A replacement stands in the slot of the one that held it, so it is among these.
        expect(next).toEqual(expect.arrayContaining(given.held.filter((held) => members.includes(held))))
        expect(members).toEqual(expect.arrayContaining(next))
      })
    )
  })

  test('has it now: who held it, is a member, and did not begin empty', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { members, fresh } = given.view
        const survivors = given.held.filter((held) => members.includes(held) && !fresh.includes(held))
        expect(decided(given).has).toEqual(inOrder(survivors))
      })
    )
  })

  test('mirrors+1 hold it, or all there are; no copy more than is missing', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { members, mirrors } = given.view
        const kept = new Set([...given.held.filter((held) => members.includes(held)), given.responsible])
        expect(decided(given).next).toHaveLength(Math.max(kept.size, Math.min(mirrors + 1, members.length)))
      })
    )
  })

  test('missing copies go to eligible ones only, and by the number of the update to each of them', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { members, eligible, mirrors } = given.view
        const kept = new Set([...given.held.filter((held) => members.includes(held)), given.responsible])
        const filled = new Set<number>()
        for (let spread = 0; spread < eligible.length; spread++) {
          for (const holder of decided({ ...given, spread }).next) if (!kept.has(holder)) filled.add(holder)
        }
        const candidates = eligible.filter((member) => !kept.has(member))
        expect(inOrder([...filled])).toEqual(kept.size > mirrors ? [] : candidates)
      })
    )
  })

  test('all who hold a copy agree, whatever each of them decided before', () => {
    fc.assert(
      fc.property(anyCase, fc.array(anyCase, { maxLength: 4 }), (given, others) => {
        const expected = decided(given)
        const rule = new HolderRule(given.view)
        for (const { held, responsible, spread } of others)
          decided({ view: given.view, held, responsible, spread }, rule)
        expect(decided(given, rule)).toEqual(expected)
      })
    )
  })

  test('the sender has a copy: the responsible one if it has; others take turns by the number of the update', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { has, sender } = decided(given)
        if (has.length === 0) expect(sender).toBe(-1)
        else if (has.includes(given.responsible)) expect(sender).toBe(given.responsible)
        else {
          expect(has).toContain(sender)
          const turns = each(has.length, (spread) => decided({ ...given, spread }).sender)
          expect(inOrder(turns)).toEqual(has)
        }
      })
    )
  })

  test('a copy is missing when and only when one that shall hold it has none', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { has, next, isMissing } = decided(given)
        expect(isMissing).toBe(next.some((holder) => !has.includes(holder)))
      })
    )
  })

  test('when the view stands nothing is missing: deciding it again changes nothing', () => {
    fc.assert(
      fc.property(anyCase, (given) => {
        const { next } = decided(given)
        const again = decided({ ...given, view: { ...given.view, fresh: [] }, held: next })
        expect(again).toMatchObject({ has: next, next, isMissing: false })
      })
    )
  })

  test('a spare in the place of one that held it gets its copies back; with survivors only the lost one is made again', () => {
    const held = [2, 40]
    const members = [1, 2, 40, 63]
    const replaced = { members, eligible: members, fresh: [40], mirrors: 1 }
    expect(decided({ view: replaced, held, responsible: 40, spread: 7 })).toEqual({
      has: [2],
      next: [2, 40],
      isMissing: true,
      sender: 2
    })
    const others = [1, 2, 63]
    const takenOver = { members: others, eligible: others, fresh: [], mirrors: 1 }
    expect(decided({ view: takenOver, held, responsible: 63, spread: 7 }).next).toEqual([2, 63])
    // The responsible one has it already: the copy goes to whoever is next by its number.
    expect(each(3, (spread) => decided({ view: takenOver, held, responsible: 2, spread }).next)).toEqual([
      [1, 2],
      [2, 63],
      [2, 63]
    ])
  })

  test('who leaves keeps what it holds, and is given nothing', () => {
    const view = { members: [0, 1, 2, 3], eligible: [1, 2, 3], fresh: [], mirrors: 1 }
    for (const spread of each(12, (n) => n)) {
      expect(decided({ view, held: [1, 9], responsible: 1, spread }).next).not.toContain(0)
      expect(decided({ view, held: [0, 1], responsible: 1, spread }).next).toEqual([0, 1])
    }
  })
})

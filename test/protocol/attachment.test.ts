/** To whom sources are attached in a new view. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { type Attachable, attachSources } from '../../src/protocol/attachment.ts'

const layout = sourceLayout(1024)

function sourcesAt(slots: readonly number[]): Attachable[] {
  return slots.map((slot) => {
    const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
    memory.storeAttached(slot)
    return { memory }
  })
}

function attached(sources: readonly Attachable[]): number[] {
  return sources.map(({ memory }) => memory.loadAttached())
}

/** Where they are afterwards. */
function attach(before: readonly number[], slots: readonly number[], newcomers: readonly number[]): number[] {
  const sources = sourcesAt(before)
  attachSources(sources, slots, newcomers)
  return attached(sources)
}

function counts(at: readonly number[], slots: readonly number[]): number[] {
  return slots.map((slot) => at.filter((found) => found === slot).length)
}

const slotNumber = fc.integer({ min: 0, max: 63 })

/** Any slots that are there; newcomers among them, and sometimes one that is not; sources at any slot. */
const world = fc.uniqueArray(slotNumber, { minLength: 1, maxLength: 8 }).chain((slots) =>
  fc.record({
    slots: fc.constant(slots.sort((a, b) => a - b)),
    newcomers: fc.oneof(fc.subarray(slots), fc.uniqueArray(slotNumber, { maxLength: 3 })),
    before: fc.array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...slots) }, slotNumber), { maxLength: 30 })
  })
)

describe('sources in a new view', () => {
  test('nothing stays at a slot that is gone', () => {
    fc.assert(
      fc.property(world, ({ slots, newcomers, before }) => {
        for (const slot of attach(before, slots, newcomers)) expect(slots).toContain(slot)
      })
    )
  })

  test('what can stay stays: without newcomers, all that are at a slot which is there', () => {
    fc.assert(
      fc.property(world, ({ slots, before }) => {
        const after = attach(before, slots, [])
        for (const [n, slot] of before.entries()) if (slots.includes(slot)) expect(after[n]).toBe(slot)
      })
    )
  })

  test('with newcomers, whoever had a place moves to a newcomer or not at all', () => {
    fc.assert(
      fc.property(world, ({ slots, newcomers, before }) => {
        const after = attach(before, slots, newcomers)
        for (const [n, slot] of before.entries()) {
          if (slots.includes(slot) && after[n] !== slot) expect(newcomers).toContain(after[n])
        }
      })
    )
  })

  test('homeless ones go where fewest are', () => {
    fc.assert(
      fc.property(world, ({ slots, before }) => {
        const homes = counts(before, slots)
        const after = counts(attach(before, slots, []), slots)
        const fewest = Math.min(...after)
        for (const [n, count] of after.entries()) {
          if (count > (homes[n] as number)) expect(count).toBeLessThanOrEqual(fewest + 1)
        }
      })
    )
  })

  test('every newcomer has its share: no other one has two more', () => {
    fc.assert(
      fc.property(world, ({ slots, newcomers, before }) => {
        const after = attach(before, slots, newcomers)
        const most = Math.max(...counts(after, slots))
        const present = newcomers.filter((slot) => slots.includes(slot))
        for (const count of counts(after, present)) expect(count).toBeGreaterThanOrEqual(most - 1)
      })
    )
  })

  test('no more move than have to: the change of view that begins again moves nothing', () => {
    fc.assert(
      fc.property(world, ({ slots, newcomers, before }) => {
        const sources = sourcesAt(before)
        attachSources(sources, slots, newcomers)
        const after = attached(sources)
        attachSources(sources, slots, newcomers)
        expect(attached(sources)).toEqual(after)
      })
    )
  })

  test('examples: a death, a join, a replacement, a leave', () => {
    expect(attach([0, 1, 1, 2], [0, 2], [])).toEqual([0, 0, 2, 2])
    expect(counts(attach([0, 0, 0, 1, 1, 1], [0, 1, 5], [5]), [0, 1, 5])).toEqual([2, 2, 2])
    expect(attach([0, 0, 1, 1], [0, 1], [1])).toEqual([0, 0, 1, 1])
    expect(attach([0, 0, 1], [0, 1], [1])).toEqual([0, 0, 1])
    // The one that leaves is a newcomer still, though nothing is given to it any more.
    expect(attach([3, 0, 3], [0, 1], [3])).toEqual([1, 0, 0])
  })

  test('nobody is there: everything stays as it was', () => {
    expect(attach([0, 3], [], [])).toEqual([0, 3])
  })
})

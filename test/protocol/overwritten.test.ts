/** Updates that are not sent: each is hidden by a later one that is sent, and blocks written again and again are found. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena, arenaLayoutOf } from '../../src/memory/arena.ts'
import {
  FLAG_ZERO,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_SEQUENCE,
  RECORD_VOLUME,
  recordBytesFor
} from '../../src/memory/record.ts'
import { AddressList } from '../../src/protocol/held.ts'
import { Overwritten } from '../../src/protocol/overwritten.ts'

interface Update {
  volume: number
  offset: number
  length: number
  isZero: boolean
  sequence: number
}

const LAYOUT = arenaLayoutOf(1 << 20, 16)
const arena = new Arena(Arena.allocate(LAYOUT), LAYOUT)
const whole = (address: number): number => address

function listOf(updates: readonly Update[]): AddressList {
  const list = new AddressList([])
  let address = 0
  for (const { volume, offset, length, isZero, sequence } of updates) {
    arena.ints[(address >>> 2) + RECORD_FLAGS] = isZero ? FLAG_ZERO : 0
    arena.ints[(address >>> 2) + RECORD_VOLUME] = volume
    arena.ints[(address >>> 2) + RECORD_LENGTH] = isZero ? 8 : length
    arena.floats[(address >>> 3) + RECORD_OFFSET] = offset
    arena.floats[(address >>> 3) + RECORD_SEQUENCE] = sequence
    if (isZero) arena.floats[(address >>> 3) + RECORD_PAYLOAD] = length
    list.push(address)
    address += recordBytesFor(8)
  }
  return list
}

/** In order of the list: which of them are left out. */
function leftOut(
  updates: readonly Update[],
  budget = 1000,
  overwritten = new Overwritten(arena, { whole })
): boolean[] {
  const list = listOf(updates)
  overwritten.begin(list)
  let slices = 1
  while (!overwritten.look(list, budget)) slices++
  expect(slices).toBe(Math.max(1, Math.ceil(updates.length / budget)))
  const found = updates.map((_, n) => overwritten.has(n))
  expect(overwritten.count).toBe(found.filter(Boolean).length)
  return found
}

const write = (volume: number, offset: number, length: number, sequence: number): Update => ({
  volume,
  offset,
  length,
  isZero: false,
  sequence
})

describe('which updates need not be sent', () => {
  test('all but the newest of one block', () => {
    const updates = [1, 2, 3, 4].map((sequence) => write(0, 4096, 4096, sequence))
    expect(leftOut(updates)).toEqual([true, true, true, false])
  })

  test('not what a later one covers in part, nor what lies in another volume', () => {
    expect(leftOut([write(0, 0, 9, 1), write(0, 0, 8, 2)])).toEqual([false, false])
    expect(leftOut([write(0, 0, 8, 1), write(1, 0, 8, 1)])).toEqual([false, false])
    expect(leftOut([write(0, 0, 8, 1), write(0, 8, 8, 2)])).toEqual([false, false])
  })

  test('a longer one hides shorter ones before it, and those after it stay', () => {
    expect(leftOut([write(0, 0, 8, 1), write(0, 0, 16, 2), write(0, 0, 4, 3)])).toEqual([true, false, false])
  })

  test('a range of zeros hides, and is hidden, by its own length', () => {
    const zero = { ...write(0, 0, 512, 2), isZero: true }
    expect(leftOut([write(0, 0, 64, 1), zero])).toEqual([true, false])
    expect(leftOut([zero, write(0, 0, 64, 3)])).toEqual([false, false])
    expect(leftOut([zero, write(0, 0, 512, 3)])).toEqual([true, false])
  })

  test('offsets beyond 2^32 are told apart', () => {
    expect(leftOut([write(0, 2 ** 32, 8, 1), write(0, 2 ** 33, 8, 2), write(0, 0, 8, 3)])).toEqual([
      false,
      false,
      false
    ])
  })

  test('what is noted in another order than that of sequences', () => {
    expect(leftOut([write(0, 0, 8, 2), write(0, 0, 8, 1)])).toEqual([false, true])
    expect(leftOut([write(0, 0, 8, 2), write(0, 0, 9, 1)])).toEqual([false, false])
  })

  test('one table after another, larger and smaller', () => {
    const overwritten = new Overwritten(arena, { whole })
    const twice = (places: number): Update[] =>
      Array.from({ length: 2 * places }, (_, n) => write(0, (n % places) * 512, 512, n + 1))
    for (const places of [3, 4000, 5, 700]) {
      expect(leftOut(twice(places), 999, overwritten).indexOf(false)).toBe(places)
    }
  })

  test('a list that is gone while it is looked through is done', () => {
    const list = listOf([write(0, 0, 8, 1), write(0, 0, 8, 2)])
    const overwritten = new Overwritten(arena, { whole })
    overwritten.begin(list)
    list.clear()
    expect(overwritten.look(list, 1)).toBe(true)
  })

  test('each is hidden wholly by a later one that is sent; equal places leave one', () => {
    const update = fc.record({
      volume: fc.nat(1),
      offset: fc.nat(3).map((n) => n * 8),
      length: fc.integer({ min: 1, max: 24 }),
      isZero: fc.boolean()
    })
    const run = fc.array(update, { maxLength: 60 })
    fc.assert(
      fc.property(
        run,
        fc.boolean(),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        (drawn, shuffled, keys) => {
          const updates = drawn.map((one, n) => ({ ...one, sequence: n + 1 }))
          if (shuffled) {
            const key = new Map(updates.map((one) => [one, keys.next().value as number]))
            updates.sort((a, b) => (key.get(a) as number) - (key.get(b) as number))
          }
          const found = leftOut(updates, 7)
          const sent = updates.filter((_, n) => !found[n])
          for (const [n, one] of updates.entries()) {
            const isHidden = (other: Update): boolean =>
              other.volume === one.volume &&
              other.sequence > one.sequence &&
              other.offset === one.offset &&
              other.length >= one.length
            if (found[n]) expect(sent.some(isHidden)).toBe(true)
            else if (!shuffled) {
              const after = updates.slice(n + 1).filter(isHidden)
              expect(after).toEqual([])
            }
          }
        }
      ),
      { numRuns: 500 }
    )
  })
})

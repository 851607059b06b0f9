import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_POSITION,
  FRAME_SEQUENCE,
  FRAME_VOLUME,
  frameTable
} from '../../src/secondary/block.ts'
import { Fold, PIECE_LENGTH, PIECE_OFFSET, PIECE_POSITION, PIECE_VOLUME } from '../../src/secondary/fold.ts'
import { orderByKey } from '../../src/secondary/sort-offsets.ts'

interface Update {
  volume: number
  offset: number
  length: number
  sequence: number
  zero: boolean
}

const SPAN = 64
const VOLUMES = 3

/** Distinct sequence identifiers, in no particular order: gaps and disorder are allowed after a change of view. */
const someUpdates = fc
  .array(
    fc.record({
      volume: fc.nat(VOLUMES - 1),
      offset: fc.nat(SPAN - 1),
      length: fc.nat(SPAN / 2),
      rank: fc.nat(),
      zero: fc.boolean()
    }),
    { maxLength: 60 }
  )
  .map((list): Update[] => {
    const ranked = list.map((_, n) => n).sort((a, b) => (list[a]?.rank ?? 0) - (list[b]?.rank ?? 0) || a - b)
    return list.map((one, n) => ({ ...one, sequence: 1 + ranked.indexOf(n) * 2 }))
  })

function fold(updates: Update[], budget: number): Fold {
  const frames = frameTable()
  let position = 48
  for (const update of updates) {
    const row = frames.add()
    frames.set(row, FRAME_VOLUME, update.volume)
    frames.set(row, FRAME_OFFSET, update.offset)
    frames.set(row, FRAME_LENGTH, update.length)
    frames.set(row, FRAME_SEQUENCE, update.sequence)
    frames.set(row, FRAME_POSITION, update.zero ? -1 : position)
    if (!update.zero) position += update.length
  }
  const folded = new Fold()
  folded.begin(frames, VOLUMES)
  while (!folded.resolve(budget));
  return folded
}

/** By volume and byte: where the byte lies in the journal, 'zero', or nothing. Each may be said once only. */
function shown(folded: Fold): Map<string, number | 'zero'> {
  const bytes = new Map<string, number | 'zero'>()
  const say = (volume: number, offset: number, value: number | 'zero') => {
    expect(bytes.has(`${volume}:${offset}`)).toBe(false)
    bytes.set(`${volume}:${offset}`, value)
  }
  const { data, zeros } = folded
  for (let row = 0; row < data.length; row++) {
    for (let n = 0; n < data.get(row, PIECE_LENGTH); n++) {
      say(data.get(row, PIECE_VOLUME), data.get(row, PIECE_OFFSET) + n, data.get(row, PIECE_POSITION) + n)
    }
  }
  for (let row = 0; row < zeros.length; row++) {
    for (let n = 0; n < zeros.get(row, PIECE_LENGTH); n++)
      say(zeros.get(row, PIECE_VOLUME), zeros.get(row, PIECE_OFFSET) + n, 'zero')
  }
  return bytes
}

function expected(updates: Update[]): Map<string, number | 'zero'> {
  let position = 48
  const placed = updates.map((update) => {
    const at = position
    if (!update.zero) position += update.length
    return { ...update, at }
  })
  const bytes = new Map<string, number | 'zero'>()
  for (const update of placed.sort((a, b) => a.sequence - b.sequence)) {
    for (let n = 0; n < update.length; n++) {
      bytes.set(`${update.volume}:${update.offset + n}`, update.zero ? 'zero' : update.at + n)
    }
  }
  return bytes
}

test('folding leaves exactly the newest byte of each place, once, whatever the order and the slices', () => {
  fc.assert(
    fc.property(someUpdates, fc.integer({ min: 1, max: 100 }), (updates, budget) => {
      const folded = fold(updates, budget)
      const bytes = shown(folded)
      const model = expected(updates)
      expect(bytes).toEqual(model)
      expect(folded.bytes).toBe(model.size)
    }),
    { numRuns: 3000 }
  )
})

test('a hot range is written once, not once for each update', () => {
  const updates = Array.from({ length: 500 }, (_, n) => ({
    volume: 0,
    offset: 8,
    length: 16,
    sequence: n + 1,
    zero: false
  }))
  const folded = fold(updates, 64)
  expect(folded.bytes).toBe(16)
  expect(folded.data.length).toBe(1)
  expect(folded.data.get(0, PIECE_POSITION)).toBe(48 + 499 * 16)
})

test('neighbouring zeros become one piece', () => {
  const updates = Array.from({ length: 10 }, (_, n) => ({
    volume: 1,
    offset: n * 6,
    length: 6,
    sequence: 10 - n,
    zero: true
  }))
  const folded = fold(updates, 3)
  expect(folded.zeros.length).toBe(1)
  expect(folded.zeros.get(0, PIECE_LENGTH)).toBe(60)
})

test('rows are ordered by key, equal ones in their own order, by comparing and by digits', () => {
  const key = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.maxSafeNat())
  const size = fc.constantFrom(0, 1, 5, 1024, 1025, 3000)
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 40 }), size, (some, count) => {
      const keys = Float64Array.from({ length: count }, (_, n) => some[(n * 7 + (n >> 3)) % some.length] as number)
      const expectedOrder = Array.from(keys.keys()).sort((a, b) => (keys[a] as number) - (keys[b] as number) || a - b)
      expect(Array.from(orderByKey(keys, count))).toEqual(expectedOrder)
    }),
    { numRuns: 200 }
  )
})

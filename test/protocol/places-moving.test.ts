/** Chunks for copies that a change of view moves: apart from usual credits, and kept only if that view stands. */
import { describe, expect, test } from 'vitest'
import { arenaLayoutOf } from '../../src/memory/arena.ts'
import { CHUNK_CLOSED, CHUNK_FREE, CHUNK_GRANTED, CHUNK_MOVING, ChunkTable } from '../../src/memory/chunk-table.ts'
import { Places } from '../../src/protocol/places.ts'
import { CHUNK_BYTES, CHUNK_SHIFT, each } from './harness.ts'

const SENDERS = [7, 40, 63]

class Holder {
  readonly layout = arenaLayoutOf(10 * CHUNK_BYTES, CHUNK_SHIFT)
  readonly table = new ChunkTable(ChunkTable.allocate(this.layout.chunks + this.layout.spareChunks))
  readonly granted: [lane: number, chunk: number][] = []
  places = this.anew()

  /** As a view begins: only the table is kept. */
  anew(): Places {
    const granter = { grant: (lane: number, chunk: number) => this.granted.push([lane, chunk]) > 0 }
    this.places = new Places(this.layout, this.table, SENDERS, granter)
    return this.places
  }

  /** One chunk after the other, filled with an update of this set. */
  move(count: number, set = 1): number[] {
    return each(count, () => {
      const chunk = this.places.grantMoving(63)
      this.places.note(chunk * CHUNK_BYTES, 64, set)
      return chunk
    })
  }
}

describe('places for copies that are moved', () => {
  test('a granted chunk is marked with the slot that fills it, one of a lane with the sender of that', () => {
    const { places, table, granted } = new Holder()
    places.serve()
    expect(granted).toHaveLength(6)
    for (const [lane, chunk] of granted) {
      expect([table.laneOf(chunk), table.senderOf(chunk)]).toEqual([lane, SENDERS[lane]])
      expect(table.stateOf(chunk)).toBe(CHUNK_GRANTED)
    }
    const chunk = places.grantMoving(40)
    expect([table.stateOf(chunk), table.senderOf(chunk), table.endOf(chunk)]).toEqual([CHUNK_MOVING, 40, 0])
  })

  test('usual memory as long as each lane finds its own afterwards, then what is spare, in the end all of it', () => {
    const holder = new Holder()
    const { chunks, spareChunks } = holder.layout
    expect(holder.move(4)).toEqual([0, 1, 2, 3])
    expect(holder.move(spareChunks)).toEqual(each(spareChunks, (n) => chunks + n))
    expect(holder.move(6)).toEqual([4, 5, 6, 7, 8, 9])
    expect(holder.places.grantMoving(7)).toBe(-1)
  })

  test('lanes find their usual chunks, though much was moved', () => {
    const holder = new Holder()
    holder.move(30)
    expect(holder.places.serve()).toBe(6)
    expect(holder.places.isShort).toBe(false)
  })

  test('they are not discarded while they are moved, whatever is secured', () => {
    const holder = new Holder()
    const [chunk = -1] = holder.move(1, 1)
    holder.places.discard(5)
    expect(holder.table.stateOf(chunk)).toBe(CHUNK_MOVING)
  })

  test('when the view stands they are closed, and free when their set is secured', () => {
    const holder = new Holder()
    const [first = -1, second = -1] = [...holder.move(1, 1), ...holder.move(1, 2)]
    holder.places.keepMoved(0)
    expect([holder.table.stateOf(first), holder.table.stateOf(second)]).toEqual([CHUNK_CLOSED, CHUNK_CLOSED])
    const free = holder.places.freeChunks
    holder.places.discard(1)
    expect([holder.table.stateOf(first), holder.table.stateOf(second)]).toEqual([CHUNK_FREE, CHUNK_CLOSED])
    expect(holder.places.freeChunks).toBe(free + 1)
  })

  test('the set was secured meanwhile, or nothing came into the chunk: free as soon as the view stands', () => {
    const holder = new Holder()
    const [secured = -1] = holder.move(1, 3)
    const empty = holder.places.grantMoving(7)
    holder.places.keepMoved(3)
    expect([holder.table.stateOf(secured), holder.table.stateOf(empty)]).toEqual([CHUNK_FREE, CHUNK_FREE])
  })

  test('spare chunks are never given to lanes, whether they are free from the beginning or again', () => {
    const holder = new Holder()
    holder.move(30)
    holder.places.keepMoved(0)
    holder.places.discard(1)
    expect(holder.places.freeChunks).toBe(holder.layout.chunks)
    for (const lane of [0, 1, 2]) holder.places.want(lane, 10)
    holder.places.serve()
    expect(holder.granted).toHaveLength(10)
    expect(holder.granted.every(([, chunk]) => chunk < holder.layout.chunks)).toBe(true)
    // They serve again when the next view changes.
    expect(holder.move(1)[0]).toBeGreaterThanOrEqual(holder.layout.chunks)
  })

  test('places of a new view: what is held, usual or spare, is not granted again', () => {
    const holder = new Holder()
    const used = new Set(holder.move(30))
    holder.places.keepMoved(0)
    holder.anew()
    expect(holder.places.freeChunks).toBe(6)
    holder.places.serve()
    const moved = holder.move(holder.layout.spareChunks - 26)
    for (const chunk of [...moved, ...holder.granted.map(([, granted]) => granted)]) expect(used).not.toContain(chunk)
    expect(holder.places.grantMoving(7)).toBe(-1)
  })
})

/** Cutting back to what was acknowledged, and what becomes of copies that a change of view moved. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena, arenaLayoutOf } from '../../src/memory/arena.ts'
import { Board } from '../../src/memory/board.ts'
import { CHUNK_CLOSED, CHUNK_FREE, CHUNK_GRANTED, CHUNK_MOVING, ChunkTable } from '../../src/memory/chunk-table.ts'
import {
  FLAG_DROPPED,
  FLAG_MIRROR,
  HEADER_BYTES,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME,
  recordBytesFor
} from '../../src/memory/record.ts'
import { nameHash, SetTables, setTablesBytes } from '../../src/memory/set-tables.ts'
import { SET_WINDOW_MASK } from '../../src/memory/source-memory.ts'
import { HeldUpdates } from '../../src/protocol/held.ts'
import { cutBack, forEachHeld, settleMoved } from '../../src/protocol/rebuild.ts'
import type { Setting } from '../../src/protocol/setting.ts'
import { CHUNK_BYTES, CHUNK_SHIFT, each } from './harness.ts'

const SLOT = 1
const VOLUMES = 4
const CHUNKS = 6
/** Sets up to it are secured. */
const SECURED = 6

interface Update {
  chunk: number
  source: number
  position: number
  volume: number
  set: number
  sequence: number
  length: number
}

/** Component 1 of three, with an arena that tests fill; it is responsible for odd volumes, in even sets for all. */
class Holder {
  readonly setting: Setting
  readonly chunks: ChunkTable
  readonly tables: SetTables
  readonly arena: Arena

  constructor() {
    const layout = { slots: 3, secondaries: 0, volumes: VOLUMES }
    const board = new Board(Board.allocate(layout), layout)
    board.storeSecured(SECURED)
    for (const [place, table] of board.responsibility.entries()) {
      for (let volume = 0; volume < VOLUMES; volume++) table[volume] = place % 2 === 0 ? SLOT : volume % 2
    }
    const arenaLayout = arenaLayoutOf(CHUNKS * CHUNK_BYTES, CHUNK_SHIFT)
    this.arena = new Arena(Arena.allocate(arenaLayout), arenaLayout)
    this.chunks = new ChunkTable(ChunkTable.allocate(arenaLayout.chunks + arenaLayout.spareChunks))
    this.tables = new SetTables(new SharedArrayBuffer(setTablesBytes(VOLUMES)), VOLUMES)
    this.setting = {
      slot: SLOT,
      members: [0, 1, 2],
      eligible: [0, 1, 2],
      mirrors: 1,
      mirrorTarget: 'default',
      ordering: 'volume-sequence',
      volumes: VOLUMES,
      board,
      arenas: [undefined, this.arena, undefined],
      outgoing: [],
      incoming: [],
      tables: this.tables,
      chunks: this.chunks,
      secondaries: [],
      secondaryOf: new Uint8Array(VOLUMES),
      firstSet: SECURED + 1,
      surroundings: { clock: () => 0, ring: () => {} }
    }
  }

  isResponsible(set: number, volume: number): boolean {
    return (this.setting.board.responsibility[set & SET_WINDOW_MASK] as Uint8Array)[volume] === SLOT
  }

  /** A record behind those that are in the chunk. Its address, or -1 when there is no room. */
  put({ chunk, source, position, volume, set, sequence, length }: Update, state = CHUNK_CLOSED): number {
    const { arena, chunks } = this
    const bytes = recordBytesFor(length)
    if (chunks.stateOf(chunk) === CHUNK_FREE) chunks.grant(chunk, 0, SLOT, state)
    const address = chunks.endOf(chunk) === 0 ? chunk * CHUNK_BYTES : chunks.endOf(chunk)
    if (address + bytes > (chunk + 1) * CHUNK_BYTES) return -1
    const [i, f] = [address >>> 2, address >>> 3]
    arena.ints[i + RECORD_BYTES] = bytes
    arena.ints[i + RECORD_FLAGS] = FLAG_MIRROR
    arena.ints[i + RECORD_SOURCE] = source
    arena.ints[i + RECORD_VOLUME] = volume
    arena.ints[i + RECORD_LENGTH] = length
    arena.ints[i + RECORD_SET] = set
    arena.floats[f + RECORD_POSITION] = position
    arena.floats[f + RECORD_SEQUENCE] = sequence
    chunks.storeEnd(chunk, address + bytes)
    chunks.storeSet(chunk, Math.max(set, chunks.setOf(chunk)))
    return address
  }

  held(): number[] {
    const addresses: number[] = []
    forEachHeld(this.setting, SECURED, (address) => addresses.push(address))
    return addresses
  }

  cutBack(final: ReadonlyMap<number, number>): HeldUpdates {
    const held = new HeldUpdates(this.tables, SECURED + 1)
    held.gather()
    cutBack(this.setting, held, SECURED, final)
    return held
  }

  sequenceAt = (address: number): number => this.arena.floats[(address >>> 3) + RECORD_SEQUENCE] as number
  isDropped(address: number): boolean {
    return ((this.arena.ints[(address >>> 2) + RECORD_FLAGS] as number) & FLAG_DROPPED) !== 0
  }
}

/** Positions around where their low bits change their sign and begin anew. */
const origin = fc.constantFrom(0, 2 ** 31 - 20, 2 ** 32 - 20, 2 ** 40)

const world = fc.record({
  origin,
  updates: fc.array(
    fc.record({
      chunk: fc.nat(CHUNKS - 1),
      source: fc.nat(2),
      position: fc.nat(40),
      volume: fc.nat(VOLUMES - 1),
      set: fc.integer({ min: SECURED - 2, max: SECURED + 5 }),
      sequence: fc.integer({ min: 1, max: 1000 }),
      length: fc.integer({ min: 0, max: 80 })
    }),
    { maxLength: 30 }
  ),
  /** By source; source 2 is not there any more. */
  acknowledged: fc.tuple(fc.nat(41), fc.nat(41))
})

/** Fills a holder; what is in it, with addresses. */
function fill({ origin, updates }: { origin: number; updates: Update[] }): {
  holder: Holder
  records: (Update & { address: number })[]
} {
  const holder = new Holder()
  const records = updates.flatMap((update) => {
    const at = { ...update, position: origin + update.position }
    const address = holder.put(at)
    return address < 0 ? [] : [{ ...at, address }]
  })
  return { holder, records }
}

function finalOf(origin: number, acknowledged: readonly number[]): Map<number, number> {
  return new Map(acknowledged.map((position, source) => [source, (origin + position) | 0]))
}

describe('cut back', () => {
  test('exactly what is below the final positions remains; of sources that are not there, all of it', () => {
    fc.assert(
      fc.property(world, ({ origin, updates, acknowledged }) => {
        const { holder, records } = fill({ origin, updates })
        const unsecured = records.filter(({ set }) => set > SECURED)
        expect(holder.held().sort()).toEqual(unsecured.map(({ address }) => address).sort())
        const held = holder.cutBack(finalOf(origin, acknowledged))
        const kept = unsecured.filter(
          ({ source, position }) => source === 2 || position < origin + (acknowledged[source] ?? 0)
        )
        expect(holder.held().sort()).toEqual(kept.map(({ address }) => address).sort())
        expect(held.heldUpdates).toBe(kept.length)
        expect(held.heldBytes).toBe(kept.reduce((sum, { length }) => sum + recordBytesFor(length), 0))
        for (const { address, ...update } of unsecured) {
          expect(holder.isDropped(address)).toBe(!kept.some((other) => other.address === address))
          expect(holder.sequenceAt(address)).toBe(update.sequence)
        }
      })
    )
  })

  test('chunks in which nothing remains are free; the others are closed, with the highest set that remains', () => {
    fc.assert(
      fc.property(world, ({ origin, updates, acknowledged }) => {
        const { holder, records } = fill({ origin, updates })
        holder.cutBack(finalOf(origin, acknowledged))
        const remaining = new Set(holder.held())
        for (let chunk = 0; chunk < holder.chunks.chunks; chunk++) {
          const sets = records
            .filter((record) => record.chunk === chunk && remaining.has(record.address))
            .map(({ set }) => set)
          expect(holder.chunks.stateOf(chunk)).toBe(sets.length > 0 ? CHUNK_CLOSED : CHUNK_FREE)
          if (sets.length > 0) expect(holder.chunks.setOf(chunk)).toBe(Math.max(...sets))
        }
      })
    )
  })

  test('the tables count what it is responsible for, by set and volume, with names and highest sequence', () => {
    fc.assert(
      fc.property(world, ({ origin, updates, acknowledged }) => {
        const { holder, records } = fill({ origin, updates })
        holder.cutBack(finalOf(origin, acknowledged))
        const remaining = new Set(holder.held())
        for (let set = SECURED + 1; set <= SECURED + 5; set++) {
          for (let volume = 0; volume < VOLUMES; volume++) {
            const own = records.filter(
              (record) => remaining.has(record.address) && record.set === set && record.volume === volume
            )
            const counted = holder.isResponsible(set, volume) ? own : []
            const table = holder.tables.at(set)
            expect(table.countOf(volume)).toBe(counted.length)
            expect(table.bytesOf(volume)).toBe(counted.reduce((sum, { length }) => sum + length, 0))
            expect(table.highestOf(volume)).toBe(Math.max(0, ...counted.map(({ sequence }) => sequence)))
            const names = counted.reduce((sum, { source, position }) => (sum + nameHash(source, position | 0)) | 0, 0)
            expect(table.namesOf(volume)).toBe(names)
          }
        }
      })
    )
  })

  test('what it is responsible for is listed in sequence order, though it lay in any', () => {
    fc.assert(
      fc.property(world, ({ origin, updates, acknowledged }) => {
        const { holder, records } = fill({ origin, updates })
        const held = holder.cutBack(finalOf(origin, acknowledged))
        const remaining = new Set(holder.held())
        for (let set = SECURED + 1; set <= SECURED + 5; set++) {
          const list = held.listOf(set, holder.sequenceAt)
          const sequences = each(list.length, (n) => holder.sequenceAt(list.at(n)))
          const own = records.filter(
            (record) => remaining.has(record.address) && record.set === set && holder.isResponsible(set, record.volume)
          )
          expect(sequences).toEqual(own.map(({ sequence }) => sequence).sort((a, b) => a - b))
        }
      })
    )
  })

  test('again, after a further death: the same remains, though chunks that are free keep their old records', () => {
    fc.assert(
      fc.property(world, ({ origin, updates, acknowledged }) => {
        const { holder } = fill({ origin, updates })
        const final = finalOf(origin, acknowledged)
        const first = holder.cutBack(final)
        const before = holder.held()
        // Whatever was acknowledged since does not bring back what was dropped.
        const second = holder.cutBack(new Map([...final].map(([source, position]) => [source, (position + 5) | 0])))
        expect(holder.held()).toEqual(before)
        expect([second.heldUpdates, second.heldBytes]).toEqual([first.heldUpdates, first.heldBytes])
      })
    )
  })

  test('chunks that are granted and being filled are cut back too; one that is granted and empty is free', () => {
    const holder = new Holder()
    const update = { chunk: 2, source: 0, position: 7, volume: 1, set: SECURED + 1, sequence: 1, length: 8 }
    const kept = holder.put(update, CHUNK_GRANTED)
    holder.put({ ...update, position: 8 }, CHUNK_GRANTED)
    holder.chunks.grant(3, 0, 0)
    const held = holder.cutBack(new Map([[0, 8]]))
    expect(holder.held()).toEqual([kept])
    expect([held.heldUpdates, held.heldBytes]).toEqual([1, HEADER_BYTES + 8])
    expect([holder.chunks.stateOf(2), holder.chunks.stateOf(3)]).toEqual([CHUNK_CLOSED, CHUNK_FREE])
  })
})

describe('copies that a change of view moved', () => {
  const update = { source: 0, position: 1, volume: 0, set: SECURED + 2, sequence: 4, length: 8 }

  /** One chunk that was there, three with moved copies (the last of them beyond the usual arena), one that is granted. */
  function moved(): Holder {
    const holder = new Holder()
    holder.put({ ...update, chunk: 0 })
    for (const chunk of [1, 2, CHUNKS + 3]) holder.put({ ...update, chunk, position: 10 + chunk }, CHUNK_MOVING)
    holder.chunks.grant(4, 0, 2)
    return holder
  }
  function states(holder: Holder): number[] {
    return [0, 1, 2, CHUNKS + 3, 4, 5].map((chunk) => holder.chunks.stateOf(chunk))
  }

  test('count from the moment at which the view stood', () => {
    const holder = moved()
    settleMoved(holder.chunks, true)
    expect(states(holder)).toEqual([CHUNK_CLOSED, CHUNK_CLOSED, CHUNK_CLOSED, CHUNK_CLOSED, CHUNK_GRANTED, CHUNK_FREE])
    expect(holder.held().map((address) => Math.floor(address / CHUNK_BYTES))).toEqual([0, 1, 2, CHUNKS + 3])
    expect(holder.cutBack(new Map([[0, 100]])).heldUpdates).toBe(4)
  })

  test('never were when it did not', () => {
    const holder = moved()
    settleMoved(holder.chunks, false)
    expect(states(holder)).toEqual([CHUNK_CLOSED, CHUNK_FREE, CHUNK_FREE, CHUNK_FREE, CHUNK_GRANTED, CHUNK_FREE])
    expect(holder.held().map((address) => Math.floor(address / CHUNK_BYTES))).toEqual([0])
    expect(holder.cutBack(new Map([[0, 100]])).heldUpdates).toBe(1)
  })

  test('settled once: a later change of view, whatever became of it, does not touch them', () => {
    const holder = moved()
    settleMoved(holder.chunks, true)
    settleMoved(holder.chunks, false)
    expect(holder.held()).toHaveLength(4)
  })
})

/** Entry rings, links, set tables, parking and the board's counters, in one thread. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Board, WAY_SECONDARY, WAY_SPOOL } from '../../src/memory/board.ts'
import { EntryRing, entryRingBytes } from '../../src/memory/entry-ring.ts'
import { LINE_INTS } from '../../src/memory/lines.ts'
import { entry, entryKind, entryValue, Link, linkBytes } from '../../src/memory/link.ts'
import { PARKING_INTS, Parking } from '../../src/memory/parking.ts'
import { NEXT_OF_VOLUME, nameHash, SetTables, setTablesBytes } from '../../src/memory/set-tables.ts'
import { SET_WINDOW } from '../../src/memory/source-memory.ts'

describe('EntryRing', () => {
  test('like a queue, at any place of the cursors, with the memory around it untouched', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 4, 16),
        fc.constantFrom(0, 2 ** 31 - 5, 2 ** 32 - 5),
        fc.array(fc.record({ put: fc.nat(5), take: fc.nat(5) }), { maxLength: 100 }),
        (capacity, first, turns) => {
          const guard = 256
          const memory = new SharedArrayBuffer(entryRingBytes(capacity) + 2 * guard)
          new Uint8Array(memory).fill(0xaa)
          const ring = new EntryRing(memory, guard, capacity)
          ring.publish(first | 0)
          ring.release(first | 0)
          const queue: number[] = []
          let value = 0
          for (const { put, take } of turns) {
            let head = ring.loadPublished()
            for (let n = 0; n < put && ((head - ring.loadReleased()) | 0) < capacity; n++) {
              ring.entries[head & ring.mask] = ++value
              queue.push(value)
              head = (head + 1) | 0
            }
            ring.publish(head)
            let tail = ring.loadReleased()
            for (let n = 0; n < take && tail !== ring.loadPublished(); n++) {
              expect(ring.entries[tail & ring.mask]).toBe(queue.shift())
              tail = (tail + 1) | 0
            }
            ring.release(tail)
            expect((ring.loadPublished() - tail) | 0).toBe(queue.length)
          }
          const bytes = new Uint8Array(memory)
          expect(bytes.subarray(0, guard).every((byte) => byte === 0xaa)).toBe(true)
          expect(bytes.subarray(-guard).every((byte) => byte === 0xaa)).toBe(true)
        }
      )
    )
  })

  test.each([0, 1, 3, 12, -4])('a capacity of %i is refused', (capacity) => {
    expect(() => new EntryRing(new SharedArrayBuffer(4096), 0, capacity)).toThrow(RangeError)
  })

  test('the two cursors do not share a cache line', () => {
    const ring = new EntryRing(new SharedArrayBuffer(entryRingBytes(4)), 0, 4)
    ring.publish(11)
    ring.release(22)
    expect([ring.words[0], ring.words[LINE_INTS]]).toEqual([11, 22])
    expect(ring.words.filter((word) => word !== 0)).toHaveLength(2)
  })
})

describe('Link', () => {
  test('what the sender and what the holder say is apart, and both ends see it', () => {
    const memory = new SharedArrayBuffer(linkBytes(8))
    const [sender, holder] = [new Link(memory, 8), new Link(memory, 8)]
    for (let n = 0; n < 8; n++) {
      sender.entries[n] = -1 - n
      holder.sequences[n] = 2 ** 52 + n
    }
    sender.publish(5)
    sender.release(4)
    holder.storeNoted(3)
    holder.storeHeld(2)
    expect([holder.loadPublished(), holder.loadReleased(), sender.loadNoted(), sender.loadHeld()]).toEqual([5, 4, 3, 2])
    expect([...holder.entries]).toEqual(Array.from({ length: 8 }, (_, n) => -1 - n))
    expect([...sender.sequences]).toEqual(Array.from({ length: 8 }, (_, n) => 2 ** 52 + n))
  })

  test('an entry carries a kind and 29 bits of value', () => {
    fc.assert(
      fc.property(fc.nat(7), fc.nat(2 ** 29 - 1), (kind, value) => {
        // As it comes out of an int32 array.
        const word = new Int32Array([entry(kind, value)])[0] as number
        expect([entryKind(word), entryValue(word)]).toEqual([kind, value])
      })
    )
  })
})

describe('SetTables', () => {
  test('like a map, over any sets of the window and restarts', () => {
    const volumes = 7
    const counted = fc.record({
      set: fc.nat(SET_WINDOW - 1),
      volume: fc.nat(volumes - 1),
      sequence: fc.oneof(fc.integer({ min: 1, max: 2 ** 50 }), fc.constant(NEXT_OF_VOLUME)),
      bytes: fc.nat(65536),
      source: fc.nat(100),
      ordinal: fc.integer()
    })
    fc.assert(
      fc.property(fc.array(fc.oneof(counted, fc.nat(SET_WINDOW - 1)), { maxLength: 120 }), (steps) => {
        const buffer = new SharedArrayBuffer(setTablesBytes(volumes))
        const [tables, seen] = [new SetTables(buffer, volumes), new SetTables(buffer, volumes)]
        type Row = { count: number; bytes: number; highest: number; names: number }
        const model = new Map<number, Map<number, Row>>()
        const sets = Array.from({ length: SET_WINDOW }, (_, n) => n)
        for (const set of sets) tables.at(set).restart(set)
        for (const step of steps) {
          if (typeof step === 'number') {
            // The set is secured: its table is for the one that comes a window later.
            const set = (sets[step] as number) + SET_WINDOW
            sets[step] = set
            tables.at(set).restart(set)
            model.delete(step)
            continue
          }
          const rows = model.get(step.set) ?? new Map<number, Row>()
          model.set(step.set, rows)
          const row = rows.get(step.volume) ?? { count: 0, bytes: 0, highest: 0, names: 0 }
          const name = nameHash(step.source, step.ordinal)
          const given = step.sequence === NEXT_OF_VOLUME ? row.highest + 1 : step.sequence
          rows.set(step.volume, {
            count: row.count + 1,
            bytes: row.bytes + step.bytes,
            highest: Math.max(row.highest, given),
            names: (row.names + name) | 0
          })
          const table = tables.at(sets[step.set] as number)
          expect(table.count(step.volume, step.sequence, step.bytes, name)).toBe(given)
        }
        for (const [place, set] of sets.entries()) {
          const table = seen.at(set)
          const rows = model.get(place) ?? new Map<number, Row>()
          expect(table.set).toBe(set)
          expect([...table.touched.subarray(0, table.touchedCount)]).toEqual([...rows.keys()])
          for (let volume = 0; volume < volumes; volume++) {
            const row = rows.get(volume) ?? { count: 0, bytes: 0, highest: 0, names: 0 }
            expect({
              count: table.countOf(volume),
              bytes: table.bytesOf(volume),
              highest: table.highestOf(volume),
              names: table.namesOf(volume)
            }).toEqual(row)
            expect(table.nextSequence(volume)).toBe(row.highest + 1)
          }
        }
      }),
      { numRuns: 60 }
    )
  })
})

describe('Parking', () => {
  const parkings = (): [Parking, Parking] => {
    const words = new Int32Array(new SharedArrayBuffer(2 * PARKING_INTS * 4))
    return [new Parking(words, 0), new Parking(words, PARKING_INTS)]
  }

  test('a sleeper that is woken between its last look and its sleep does not sleep', async () => {
    const [place, other] = parkings()
    place.prepare()
    other.wake()
    expect(place.isParked()).toBe(true)
    place.wake()
    expect(place.isParked()).toBe(false)
    // Would block this thread for good, or give a promise.
    place.sleep()
    expect(place.sleepAsync()).toBeNull()
  })

  test('asleep until woken, without blocking', async () => {
    const [place] = parkings()
    place.prepare()
    const woken = place.sleepAsync()
    expect(woken).toBeInstanceOf(Promise)
    place.wake()
    expect(await woken).toBe('ok')
  })

  test('what was found at the last look cancels', () => {
    const [place] = parkings()
    place.prepare()
    place.cancel()
    expect(place.isParked()).toBe(false)
  })
})

describe('Board', () => {
  const board = (): Board => {
    const layout = { slots: 3, secondaries: 2, volumes: 5 }
    return new Board(Board.allocate(layout), layout)
  }

  test('an epoch is confirmed as it is, each way by itself', () => {
    const at = board()
    at.storeEpoch(WAY_SPOOL, 7)
    expect([at.confirmEpoch(WAY_SECONDARY), at.confirmEpoch(WAY_SPOOL), at.loadEpoch(WAY_SPOOL)]).toEqual([0, 7, 7])
  })

  test('every word is a word of its own', () => {
    const at = board()
    const words: [(value: number) => void, () => number][] = [
      [(v) => at.storeForming(v), () => at.loadForming()],
      [(v) => at.storeNear(v), () => at.loadNear()],
      [(v) => at.storeSealed(v), () => at.loadSealed()],
      [(v) => at.storeTransfer(v), () => at.loadTransfer()],
      [(v) => at.storeSpool(v), () => at.loadSpool()],
      [(v) => at.storeUnspool(v), () => at.loadUnspool() ?? -1],
      [(v) => at.storeEpoch(WAY_SECONDARY, v), () => at.loadEpoch(WAY_SECONDARY)],
      [(v) => at.storeEpoch(WAY_SPOOL, v), () => at.loadEpoch(WAY_SPOOL)],
      [(v) => at.storeStall(v), () => at.loadStall()],
      [(v) => at.storeSpooledBytes(v), () => at.loadSpooledBytes()],
      [(v) => at.storeSecured(v), () => at.loadSecured()],
      [(v) => at.storeCommit(v), () => at.loadCommit()],
      [(v) => at.storeApply(v), () => at.loadApply()],
      [(v) => at.storeShutdown(v), () => at.loadShutdown()],
      [(v) => at.storeCommitted(v), () => at.loadCommitted()],
      [(v) => at.storeApplying(v), () => at.loadApplying()],
      [(v) => at.storeMarked(v), () => at.loadMarked()]
    ]
    for (let slot = 0; slot < 3; slot++) {
      words.push(
        [(v) => at.storeQuiet(slot, v), () => at.loadQuiet(slot)],
        [(v) => at.storeManifested(slot, v), () => at.loadManifested(slot)],
        [(v) => at.storeDiscarded(slot, v), () => at.loadDiscarded(slot)],
        [(v) => at.storePressure(slot, v), () => at.loadPressure(slot)],
        [(v) => at.statistics[slot]?.fill(v), () => at.statistics[slot]?.[0] ?? -1],
        [(v) => at.statistics[slot]?.fill(v), () => at.statistics[slot]?.at(-1) ?? -1]
      )
    }
    for (let n = 0; n <= at.spoolIndex; n++) {
      words.push(
        [(v) => at.storeSecondaryEpoch(n, v), () => at.loadSecondaryEpoch(n)],
        [(v) => at.storeNoSpace(n, v), () => at.loadNoSpace(n)],
        [(v) => at.storeJournaled(n, v), () => at.loadJournaled(n)],
        [(v) => at.storeApplied(n, v), () => at.loadApplied(n)],
        [(v) => at.storeWritten(n, v), () => at.loadWritten(n)]
      )
      // The spool keeps whole sets, and is in no commit record.
      for (let set = 1; n < at.spoolIndex && set <= SET_WINDOW; set++) {
        words.push([(v) => at.storePartFacts(n, set, v, 1), () => at.partFact(n, set, 1)])
      }
    }
    for (let set = 0; set < SET_WINDOW; set++) {
      words.push([(v) => at.storeSetFacts(set, v, 1, 2), () => at.setFact(set, 0)])
      words.push([(v) => at.responsibility[set]?.fill(v), () => at.responsibility[set]?.at(-1) ?? -1])
    }
    for (const [n, [store]] of words.entries()) store(n + 2)
    const shown = words.map(([, load]) => load())
    // Statistics were filled twice on purpose: both ends have the later value.
    expect(shown.filter((value, n) => value !== n + 2)).toHaveLength(3)
    for (const parking of at.parking) expect(parking.isParked()).toBe(false)
    // The words of counters and parking are not among them either.
    expect(at.takeGroupSequences(5, 1)).toBe(1)
    expect(at.takeStamps(0, 1)).toBe(1)
  })

  test('what a component has journaled of a set is told of that set only', () => {
    const at = board()
    const set = 2 ** 40 + 3
    at.storePartFacts(1, set, 7, 900)
    expect([at.partFact(1, set, 1), at.partFact(1, set, 2)]).toEqual([7, 900])
    expect([at.hasPart(1, set), at.hasPart(0, set), at.hasPart(1, set + 1)]).toEqual([true, false, false])
    // Of a set a window later, or with the same low bits, nothing has been told.
    expect([at.hasPart(1, set + SET_WINDOW), at.hasPart(1, set + 2 ** 32)]).toEqual([false, false])
  })

  test('time stamps are unique and increasing, whatever the clock says', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ clock: fc.integer({ min: 0, max: 2 ** 51 }), count: fc.integer({ min: 1, max: 300 }) })),
        (calls) => {
          const at = board()
          let last = 0
          for (const { clock, count } of calls) {
            const first = at.takeStamps(clock + 0.7, count)
            expect(first).toBe(Math.max(clock, last + 1))
            last = first + count - 1
          }
        }
      )
    )
  })

  test('group-wide sequences count in each set of the window for itself, until it is reset', () => {
    const at = board()
    for (let set = 0; set < SET_WINDOW; set++) {
      expect([at.takeGroupSequences(set, 10), at.takeGroupSequences(set, 1)]).toEqual([1, 11])
    }
    at.resetGroupSequence(SET_WINDOW + 3)
    expect([at.takeGroupSequences(SET_WINDOW + 3, 1), at.takeGroupSequences(4, 1)]).toEqual([1, 12])
  })

  test('samples: each is read once, the newest when there were too many', () => {
    const at = board()
    for (let n = 0; n < 10; n++) at.addSample(1, n)
    const read: number[] = []
    let cursor = at.readSamples(1, 0, (value) => read.push(value))
    expect(read).toEqual(Array.from({ length: 10 }, (_, n) => n))
    for (let n = 0; n < 5000; n++) at.addSample(1, n)
    read.length = 0
    cursor = at.readSamples(1, cursor, (value) => read.push(value))
    expect(read).toHaveLength(2048)
    expect([read[0], read.at(-1)]).toEqual([2952, 4999])
    at.readSamples(1, cursor, () => expect.unreachable())
    at.readSamples(0, 0, () => expect.unreachable())
  })

  test('the doorbell is pressed by one until it is answered', () => {
    const at = board()
    expect([at.pressDoorbell(), at.pressDoorbell()]).toEqual([true, false])
    at.answerDoorbell()
    expect(at.pressDoorbell()).toBe(true)
  })
})

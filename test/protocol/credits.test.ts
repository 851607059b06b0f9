/** Room before taking: places, lanes and credits. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arenaLayoutOf } from '../../src/memory/arena.ts'
import { CHUNK_CLOSED, CHUNK_FREE, CHUNK_GRANTED, ChunkTable } from '../../src/memory/chunk-table.ts'
import { ENTRY_CLOSE, entryKind, entryValue } from '../../src/memory/link.ts'
import { HEADER_BYTES } from '../../src/memory/record.ts'
import {
  chunkOf,
  grantsMissing,
  LANE_REQUEST,
  Lane,
  laneIndex,
  laneKindOf,
  lanesPerPeer,
  laneValue,
  peerOfLane
} from '../../src/protocol/lane.ts'
import type { OutLink } from '../../src/protocol/out-link.ts'
import { Places } from '../../src/protocol/places.ts'
import { isAfter } from '../../src/protocol/set-identifier.ts'
import { CHUNK_BYTES, CHUNK_DATA, each, TestGroup } from './harness.ts'

/** A holder's places and the lanes of its senders, joined without a link between them: what one says the other hears. */
class Holder {
  readonly places: Places
  readonly table: ChunkTable
  readonly lanes: Lane[]
  readonly grants: { lane: number; chunk: number }[] = []
  readonly refused = new Set<number>()
  /** By lane: each has a sender of its own. */
  readonly senders: readonly number[]
  secured = 0

  constructor(lanes: number, chunks: number) {
    const layout = arenaLayoutOf(chunks * CHUNK_BYTES, 9)
    this.senders = each(lanes, (lane) => lane + 30)
    this.table = new ChunkTable(ChunkTable.allocate(layout.chunks + layout.spareChunks))
    this.places = new Places(layout, this.table, this.senders, {
      grant: (lane, chunk) => {
        if (this.refused.has(lane)) return false
        this.grants.push({ lane, chunk })
        this.lanes[lane]?.granted(chunk)
        return true
      }
    })
    this.lanes = each(
      lanes,
      (lane) =>
        new Lane(LANE_REQUEST, 9, {
          notice: (word) => {
            const value = entryValue(word)
            if (entryKind(word) === ENTRY_CLOSE) this.places.close(chunkOf(value), this.secured)
            else this.places.want(lane, chunkOf(value))
          }
        })
    )
    this.places.serve()
  }

  lane(index: number): Lane {
    return this.lanes[index] as Lane
  }

  /** A record of that many bytes and of `set`, written by the lane's sender; its address. */
  put(lane: number, bytes: number, set: number): number {
    const address = this.lane(lane).reserve(bytes)
    this.places.note(address, bytes, set)
    return address
  }

  statesCount(state: number): number {
    return each(this.places.chunks, (chunk) => this.table.stateOf(chunk)).filter((found) => found === state).length
  }
}

describe('places', () => {
  test('every lane has two chunks from the beginning, no chunk has two lanes', () => {
    const holder = new Holder(5, 12)
    expect(holder.lanes.map((lane) => lane.creditCount)).toEqual([2, 2, 2, 2, 2])
    expect(new Set(holder.grants.map(({ chunk }) => chunk)).size).toBe(10)
    expect(holder.places.freeChunks).toBe(2)
    expect(holder.places.isShort).toBe(false)
  })

  test('an arena with fewer chunks than its lanes need is refused', () => {
    expect(() => new Holder(5, 9)).toThrow(/cannot serve 5 lanes/)
  })

  test('first come, first served: freed chunks go to the lanes in the order in which they began to wait', () => {
    const holder = new Holder(3, 6)
    // Each record fills a chunk, and opening the next one closes it.
    for (const lane of [2, 0, 1]) for (let n = 0; n < 2; n++) holder.put(lane, CHUNK_BYTES, 1)
    expect(holder.places.serve()).toBe(0)
    expect(holder.places.isShort).toBe(true)
    expect(holder.lanes.map((lane) => lane.hasRoom(8))).toEqual([false, false, false])
    holder.grants.length = 0
    holder.secured = 1
    holder.places.discard(1)
    expect(holder.places.serve()).toBe(3)
    // Lane 2 filled its first chunk before the others did, lane 0 before lane 1.
    expect(holder.grants.map(({ lane }) => lane)).toEqual([2, 0, 1])
    expect(holder.places.isShort).toBe(false)
  })

  test('the first one that waits for memory is not overtaken by one that needs less', () => {
    const holder = new Holder(2, 6)
    holder.lane(1).want(6)
    holder.places.serve()
    expect(holder.lane(1).creditCount).toBe(4)
    // Lane 0 closes a chunk of a secured set: it is the only free one, and lane 1 was first.
    holder.secured = 1
    holder.grants.length = 0
    holder.put(0, CHUNK_BYTES, 1)
    holder.put(0, CHUNK_BYTES, 1)
    holder.places.serve()
    expect(holder.grants.map(({ lane }) => lane)).toEqual([1])
    expect(holder.places.isShort).toBe(true)
  })

  test('one that waits for a place onward keeps its turn and holds up nobody', () => {
    const holder = new Holder(3, 6)
    holder.secured = 1
    holder.refused.add(1)
    for (const lane of [1, 2]) for (let n = 0; n < 2; n++) holder.put(lane, CHUNK_BYTES, 1)
    holder.grants.length = 0
    holder.places.serve()
    expect(holder.grants.map(({ lane }) => lane)).toEqual([2])
    expect(holder.places.isQueued).toBe(true)
    expect(holder.places.isShort).toBe(false)
    holder.refused.clear()
    expect(holder.places.serve()).toBe(1)
    expect(holder.grants.map(({ lane }) => lane)).toEqual([2, 1])
    expect(holder.places.isQueued).toBe(false)
  })

  test('a chunk is free again when its latest set is secured, and not before', () => {
    const holder = new Holder(1, 4)
    holder.put(0, 128, 1)
    holder.put(0, 128, 3)
    holder.put(0, 128, 2)
    const chunk = holder.grants[0]?.chunk ?? -1
    holder.put(0, CHUNK_BYTES, 3)
    expect(holder.table.stateOf(chunk)).toBe(CHUNK_CLOSED)
    for (const secured of [1, 2]) {
      holder.places.discard(secured)
      expect(holder.table.stateOf(chunk)).toBe(CHUNK_CLOSED)
    }
    holder.places.discard(3)
    expect(holder.table.stateOf(chunk)).toBe(CHUNK_FREE)
    expect(holder.places.freeChunks).toBe(3)
  })

  test('a chunk closed without any update in it is free at once', () => {
    const holder = new Holder(1, 4)
    const free = holder.places.freeChunks
    const chunk = holder.lane(0).takeCredit()
    holder.lane(0).close(chunk)
    expect(holder.places.freeChunks).toBe(free + 1)
  })

  test('what nobody granted is not taken: notes and closes of other chunks stop the component', () => {
    const holder = new Holder(1, 4)
    const free = each(4, (chunk) => chunk).find((chunk) => holder.table.stateOf(chunk) === CHUNK_FREE) ?? -1
    expect(() => holder.places.note(free * CHUNK_BYTES, HEADER_BYTES, 1)).toThrow(/not granted/)
    expect(() => holder.places.close(free, 0)).toThrow(/not granted/)
    expect(() => holder.places.want(0, 100)).toThrow(/wants/)
  })

  test('asking is counted from the first grant: what was asked for twice is granted once', () => {
    const holder = new Holder(2, 20)
    holder.lane(0).want(5)
    holder.lane(0).want(5)
    holder.lane(0).want(3)
    holder.places.serve()
    expect(holder.lane(0).creditCount).toBe(5)
    expect(holder.lane(1).creditCount).toBe(2)
    // After it was used, no more than usual.
    for (let n = 0; n < 5; n++) holder.put(0, CHUNK_BYTES, 1)
    holder.places.serve()
    expect(holder.lane(0).creditCount).toBe(1)
  })

  test('like a model: any lanes, records, wishes and secured sets', () => {
    type Command =
      | { do: 'put'; lane: number; bytes: number }
      | { do: 'want'; lane: number; chunks: number }
      | { do: 'next set' | 'secure' | 'serve' }
    const command = fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          do: fc.constant('put' as const),
          lane: fc.nat(3),
          bytes: fc.integer({ min: HEADER_BYTES / 8, max: 64 }).map((words) => words * 8)
        })
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('want' as const),
          lane: fc.nat(3),
          chunks: fc.integer({ min: 1, max: 3 })
        })
      },
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constantFrom('next set' as const, 'secure' as const, 'serve' as const) })
      }
    )
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 300 }),
        fc.integer({ min: 8, max: 24 }),
        (commands: Command[], chunks) => {
          const holder = new Holder(4, chunks)
          let set = 1
          /** Unsecured records: nothing may ever be put where one of them lies. */
          let held: { from: number; to: number; set: number; lane: number }[] = []
          const asked = [0, 0, 0, 0]
          for (const step of commands) {
            if (step.do === 'put') {
              const lane = holder.lane(step.lane)
              const room = lane.hasRoom(step.bytes)
              if (!room) expect(lane.creditCount).toBe(0)
              if (!room) continue
              const from = holder.put(step.lane, step.bytes, set)
              const to = from + step.bytes
              expect(Math.floor(from / CHUNK_BYTES)).toBe(Math.floor((to - 1) / CHUNK_BYTES))
              expect(held.every((other) => to <= other.from || from >= other.to)).toBe(true)
              expect(holder.table.laneOf(Math.floor(from / CHUNK_BYTES))).toBe(step.lane)
              held.push({ from, to, set, lane: step.lane })
            } else if (step.do === 'want') {
              asked[step.lane] = Math.max(asked[step.lane] as number, step.chunks)
              holder.lane(step.lane).want(step.chunks)
            } else if (step.do === 'next set') set++
            else if (step.do === 'serve') holder.places.serve()
            else if (holder.secured < set - 1) {
              holder.secured++
              holder.places.discard(holder.secured)
              held = held.filter((record) => isAfter(record.set, holder.secured))
            }
            // What is free, granted and closed together is the arena; grants never exceed it.
            const [free, granted, closed] = [CHUNK_FREE, CHUNK_GRANTED, CHUNK_CLOSED].map((state) =>
              holder.statesCount(state)
            )
            expect(holder.places.freeChunks).toBe(free)
            expect((free as number) + (granted as number) + (closed as number)).toBe(chunks)
            for (const lane of holder.lanes) expect(lane.creditCount).toBeLessThanOrEqual(chunks)
            for (const { from } of held) {
              expect(holder.table.stateOf(Math.floor(from / CHUNK_BYTES))).not.toBe(CHUNK_FREE)
            }
          }
          // Everything is secured and nobody writes: each lane gets its usual chunks again.
          holder.secured = set
          holder.places.discard(set)
          holder.places.serve()
          expect(holder.places.isShort).toBe(holder.places.isQueued)
          if (!holder.places.isQueued)
            for (const lane of holder.lanes) expect(lane.creditCount).toBeGreaterThanOrEqual(1)
          else expect(asked.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(chunks - 8)
        }
      ),
      { numRuns: 150 }
    )
  })
})

describe('lanes', () => {
  test('a plan packs exactly as reserving does, whatever is open already', () => {
    const sizes = fc.array(
      fc.integer({ min: HEADER_BYTES / 8, max: 64 }).map((words) => words * 8),
      { maxLength: 30 }
    )
    fc.assert(
      fc.property(sizes, sizes, (before, transaction) => {
        const lane = new Lane(LANE_REQUEST, 9, { notice: () => {} })
        for (let chunk = 0; chunk < 64; chunk++) lane.granted(chunk)
        for (const bytes of before) lane.reserve(bytes)
        const credits = lane.creditCount
        for (const bytes of transaction) lane.plan(bytes, 1)
        const needs = lane.planNeeds(1)
        expect(lane.planNeeds(2)).toBe(0)
        expect(lane.planShort(1)).toBe(0)
        for (const bytes of transaction) lane.reserve(bytes)
        expect(credits - lane.creditCount).toBe(needs)
      })
    )
  })

  test('a plan is short by the untouched chunks that are missing', () => {
    const lane = new Lane(LANE_REQUEST, 9, { notice: () => {} })
    lane.granted(0)
    for (let n = 0; n < 4; n++) lane.plan(CHUNK_BYTES, 7)
    expect([lane.planNeeds(7), lane.planShort(7)]).toEqual([4, 3])
  })

  test('numbers of lanes and of peers, there and back', () => {
    for (const mirrors of [1, 2]) {
      const kinds = lanesPerPeer(mirrors)
      for (let own = 0; own < 5; own++) {
        expect(peerOfLane(0, own, kinds)).toBe(own)
        const lanes = new Set([0])
        for (let peer = 0; peer < 5; peer++) {
          for (let kind = 0; peer !== own && kind < kinds; kind++) {
            const lane = laneIndex(peer, kind, own, kinds)
            lanes.add(lane)
            expect(peerOfLane(lane, own, kinds)).toBe(peer)
            expect((lane - 1) % kinds).toBe(kind)
          }
        }
        expect([...lanes].sort((a, b) => a - b)).toEqual(each(1 + 4 * kinds, (n) => n))
      }
    }
    expect([laneKindOf(laneValue(2, 12345)), chunkOf(laneValue(2, 12345))]).toEqual([2, 12345])
  })

  test('grantsMissing: from low 20 bits to the number that they mean', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 40 }),
        fc.integer({ min: -(2 ** 18), max: 2 ** 18 }),
        (granted, by) => {
          fc.pre(granted + by >= 0)
          expect(grantsMissing((granted + by) % 2 ** 20, granted)).toBe(by)
        }
      )
    )
  })
})

describe('room before taking', () => {
  test('a component takes only what has room in all holders; the rest stays in the source', () => {
    const group = new TestGroup({ chunks: 6 })
    const source = group.openSource(0)
    while (source.post({ volume: 1, bytes: CHUNK_DATA }) >= 0) {}
    for (let turns = 0; turns < 20; turns++) group.step(0, 1, 2)
    // Each update fills a chunk: component 1 has two for it, so two are taken, held and acknowledged.
    expect(source.intake.taken).toBe(2)
    expect(source.acknowledged).toBe(2)
    expect(group.component(0).taker.waits).toBe(1)
    expect(source.intake.waiting).toBe(true)
    expect(group.board.loadPressure(1)).toBe(1)
  })

  test('waiting takes are served first come, first served', () => {
    const group = new TestGroup({ chunks: 6, volumes: 1, members: 3, secondaries: 1 })
    const sources = each(3, () => group.openSource(1))
    sources[0]?.post({ volume: 0, bytes: CHUNK_DATA })
    sources[0]?.post({ volume: 0, bytes: CHUNK_DATA })
    group.step(1, 0, 1, 0, 1)
    const order: number[] = []
    // In the order 2, 0, 1 they find no room.
    for (const id of [2, 0, 1]) {
      sources[id]?.post({ volume: 0, bytes: CHUNK_DATA })
      group.step(1)
    }
    expect(sources.map((source) => source.intake.waiting)).toEqual([false, false, true])
    for (let turns = 0; turns < 2000 && order.length < 3; turns++) {
      group.step(0, 1, 2)
      group.control()
      group.drain()
      for (const source of sources) {
        const total = source.id === 0 ? 3 : 1
        if (source.intake.taken === total && !order.includes(source.id)) order.push(source.id)
      }
    }
    expect(order).toEqual([2, 0, 1])
  })

  test('sources of one component that never pause get equal shares of what room there is', () => {
    const group = new TestGroup({ chunks: 6, secondaries: 1 })
    const sources = each(4, () => group.openSource(0, 4096))
    for (let round = 0; round < 400; round++) {
      for (const source of sources) while (source.post({ volume: 0, bytes: 200 }) >= 0) {}
      group.run()
    }
    const shares = sources.map((source) => source.acknowledged)
    expect(Math.min(...shares)).toBeGreaterThan(Math.max(...shares) / 2)
  })

  test('a source that wants much room does not starve another one', () => {
    const group = new TestGroup({ chunks: 6, secondaries: 1 })
    const [greedy, modest] = [group.openSource(0, 16384), group.openSource(0)]
    let posted = 0
    for (let round = 0; round < 300; round++) {
      // There is always more of it than there is room.
      while (greedy.post({ volume: 0, bytes: CHUNK_DATA }) >= 0) {}
      if (modest.acknowledged === posted) posted = modest.post({ volume: 0, bytes: CHUNK_DATA }) + 1
      group.settle()
      group.control()
      group.drain()
    }
    expect(modest.acknowledged).toBeGreaterThan(5)
  })

  test('with several mirrors a chunk for requests is granted together with a place at each further mirror', () => {
    const group = new TestGroup({ members: 4, mirrors: 3, volumes: 4, chunks: 128 })
    for (const component of group.components) {
      for (const out of component.outs) {
        if (out === component.outs[group.components.indexOf(component)]) continue
        expect(out.lanes.map((lane) => lane.creditCount)).toEqual([2, 2, expect.any(Number)])
      }
    }
    // What the taker's request lane has, the responsible one has taken out of its onward lanes to the two others.
    const out = group.component(1).outs[0] as OutLink
    const address = (out.lanes[LANE_REQUEST] as Lane).reserve(64)
    const onward = group.component(0).credits.onwardOfChunk(address)
    expect(onward.map((place) => place.out.slot).sort()).toEqual([2, 3])
  })
})

/** Transactions: several updates over several volumes, in one set, acknowledged and given room as a whole. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { each, HALF_CHUNK_DATA, type Part, TestGroup } from './harness.ts'

const parts = (count: number, bytes = 8): Part[] =>
  each(count, (n) => ({ volume: n % 3, offset: n * 8, bytes, fill: n + 1 }))

describe('R9: a transaction is whole in one set', () => {
  test('though the set ends while it waits, is taken or is acknowledged', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { minLength: 10, maxLength: 60 }), fc.constantFrom(1, 2), (turns, mirrors) => {
        const group = new TestGroup({ members: 4, mirrors, secondaries: 1, chunks: 64 })
        const sources = [group.openSource(0), group.openSource(2)]
        const firsts: [number, number][] = []
        for (const [n, turn] of turns.entries()) {
          if (turn === 4) {
            group.coordinator.closeSet(undefined)
            group.control()
          } else group.step(turn)
          if (n % 3 === 0 && n < 30) {
            for (const source of sources) firsts.push([source.id, source.transaction(parts(5))])
          }
        }
        group.run()
        for (const [id, first] of firsts) {
          const sets = each(5, (n) => group.sources[id]?.receipt(first + n).set)
          expect(new Set(sets).size).toBe(1)
        }
      }),
      { numRuns: 60 }
    )
  })
})

describe('a transaction is acknowledged as a whole', () => {
  test('not in part, though all of its parts but one are held', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.transaction([{ volume: 0 }, { volume: 1 }, { volume: 2 }])
    group.step(0, 1, 0)
    // Volumes 0 and 1 are held twice; component 2 has not come to answer.
    expect(group.held(0).map((held) => held.sequence)).toEqual([1, 1, 0])
    expect(source.acknowledged).toBe(0)
    group.step(2, 0)
    expect(source.acknowledged).toBe(3)
    expect(each(3, (n) => source.receipt(n).holders)).toEqual([
      [0, 1],
      [0, 1],
      [0, 2]
    ])
  })

  test('what was acknowledged before it stays acknowledged, what comes behind it waits', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.post({ volume: 0 })
    source.transaction([{ volume: 0 }, { volume: 2 }])
    source.post({ volume: 1 })
    group.step(0, 1, 0)
    expect(source.acknowledged).toBe(1)
    group.step(2, 0)
    expect(source.acknowledged).toBe(4)
  })

  test('a set that ends in between does not form before its last part is acknowledged', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.transaction([{ volume: 0 }, { volume: 2 }])
    group.step(0, 1, 0)
    group.coordinator.closeSet(undefined)
    group.control()
    group.step(0, 1, 0, 1)
    group.control()
    expect(group.board.loadSealed()).toBe(0)
    group.run()
    expect(group.reports.find((report) => report.set === 1 && report.state === 'formed')?.updates).toBe(2)
  })
})

describe('room before taking: a transaction gets room for all parts or for none', () => {
  test.each([1, 2])(
    'one that is larger than usual credits asks for more and is taken whole (%i mirrors)',
    (mirrors) => {
      // 20 parts of 256 bytes: ten chunks in each holder, where two are granted without asking.
      const group = new TestGroup({ members: 3, mirrors, chunks: 128 })
      const source = group.openSource(0)
      source.transaction(each(20, (n) => ({ volume: n % 2, bytes: HALF_CHUNK_DATA })))
      const seen = new Set<number>()
      for (let turns = 0; turns < 20; turns++) {
        group.step(0)
        seen.add(group.component(0).taker.taken)
        group.step(1, 2)
      }
      expect([...seen]).toEqual([0, 20])
      expect(source.acknowledged).toBe(20)
      expect(group.component(0).taker.waits).toBe(1)
    }
  )

  test('without room for one part none is taken; with room for it all are', () => {
    const group = new TestGroup({ chunks: 8, secondaries: 1 })
    const [filler, source] = [group.openSource(0), group.openSource(1)]
    // Fill component 0 until it can grant nothing more.
    while (filler.post({ volume: 0, bytes: 200 }) >= 0) {}
    for (let turns = 0; turns < 50; turns++) group.step(0, 1, 2)
    const before = group.component(1).held.heldUpdates
    source.transaction(each(8, () => ({ volume: 0, bytes: 200 })))
    for (let turns = 0; turns < 50; turns++) group.step(0, 1, 2)
    expect(group.component(1).taker.taken).toBe(0)
    expect(group.component(1).held.heldUpdates).toBe(before)
    // Sets are closed early; what waits gets its room.
    group.run()
    expect(source.acknowledged).toBe(8)
    const sets = each(8, (n) => source.receipt(n).set)
    expect(new Set(sets).size).toBe(1)
    group.closeSet()
    expect(filler.acknowledged).toBe(filler.writer.next)
  })

  test('one larger than the share of a component that all want at once: two such wait for each other, both end', () => {
    const group = new TestGroup({ members: 2, volumes: 2, chunks: 8, secondaries: 1 })
    const sources = [group.openSource(0), group.openSource(1)]
    for (let n = 0; n < 10; n++) {
      for (const source of sources)
        source.transaction(each(6, (part) => ({ volume: part % 2, bytes: HALF_CHUNK_DATA, fill: n + 1 })))
      group.run()
    }
    group.closeSet()
    expect(sources.map((source) => source.acknowledged)).toEqual([60, 60])
    expect(group.images.map((image) => image[HALF_CHUNK_DATA - 1])).toEqual([10, 10])
  })
})

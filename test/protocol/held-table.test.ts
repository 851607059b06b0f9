/** R5: the two tables of figure 2, and that a component can show them. */
import { describe, expect, test } from 'vitest'
import { Arena } from '../../src/memory/arena.ts'
import { listHeld } from '../../src/protocol/held-table.ts'
import { each, TestGroup } from './harness.ts'

describe('R5: figure 2A, who is responsible for what', () => {
  test('the table of each unsecured set is there to be read', () => {
    const group = new TestGroup({ volumes: 5, members: 2, secondaries: 1 })
    group.coordinator.closeSet(undefined)
    group.control()
    expect([...group.responsibility(1)]).toEqual([0, 1, 0, 1, 0])
    expect([...group.responsibility(2)]).toEqual([1, 0, 1, 0, 1])
  })
})

describe('R5: figure 2B, by update its identifier, volume, mirrored to, mirrored from', () => {
  test('with one mirror: taker, responsible one, mirror', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.post({ volume: 0, offset: 10, bytes: 1 })
    source.post({ volume: 2, offset: 20, bytes: 2 })
    group.settle()
    const own = { volume: 0, set: 1, sequence: 1, offset: 10, length: 1, responsible: 0 }
    const other = { volume: 2, set: 1, sequence: 1, offset: 20, length: 2, responsible: 2 }
    expect(group.held(0)).toEqual([
      { ...own, mirroredTo: [1], mirroredFrom: null },
      { ...other, mirroredTo: [2], mirroredFrom: null }
    ])
    expect(group.held(1)).toEqual([{ ...own, mirroredTo: [], mirroredFrom: 0 }])
    expect(group.held(2)).toEqual([{ ...other, mirroredTo: [], mirroredFrom: 0 }])
  })

  test('with two mirrors: the responsible one shows to whom it passed on', () => {
    const group = new TestGroup({ members: 4, volumes: 4, mirrors: 2, chunks: 128 })
    const source = group.openSource(3)
    source.post({ volume: 0 })
    group.settle()
    const from = (slot: number) =>
      group.held(slot).map(({ mirroredTo, mirroredFrom }) => ({ mirroredTo, mirroredFrom }))
    // The taker is three places away: the next one around the responsible component is at distance one.
    expect(from(3)).toEqual([{ mirroredTo: [0], mirroredFrom: null }])
    expect(from(0)).toEqual([{ mirroredTo: [1], mirroredFrom: 3 }])
    expect(from(1)).toEqual([{ mirroredTo: [], mirroredFrom: 0 }])
    expect(from(2)).toEqual([])
  })

  test('with spread mirrors each row names the one that really holds it', () => {
    const group = new TestGroup({ members: 4, volumes: 4, mirrors: 2, mirrorTarget: 'spread', chunks: 128 })
    const source = group.openSource(1)
    const ordinals = each(12, (n) => {
      const ordinal = source.post({ volume: n % 4, offset: n * 8 })
      group.settle()
      return ordinal
    })
    for (const [n, ordinal] of ordinals.entries()) {
      const { holders, sequence } = source.receipt(ordinal)
      const rows = each(4, (slot) => group.held(slot).filter((row) => row.offset === n * 8))
      expect(holders).toEqual(each(4, (slot) => slot).filter((slot) => rows[slot]?.length === 1))
      // From taker to responsible one to mirrors, every edge is named at both ends.
      for (const [slot, [row]] of rows.entries()) {
        if (row === undefined) continue
        expect(row.sequence).toBe(sequence)
        for (const to of row.mirroredTo) expect(rows[to]?.[0]?.mirroredFrom).toBe(slot)
        if (row.mirroredFrom !== null) expect(rows[row.mirroredFrom]?.[0]?.mirroredTo).toContain(slot)
      }
    }
  })

  test('zeros show the length of their range', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.writer.putZero(0, 512, 1024, 0, 0)
    source.writer.publish()
    group.settle()
    expect(group.held(0)).toMatchObject([{ offset: 512, length: 1024 }])
    expect(group.held(1)).toMatchObject([{ offset: 512, length: 1024 }])
  })

  test('shows nothing of secured sets, though their chunks are still being filled; and at most `limit` rows', () => {
    const group = new TestGroup({ secondaries: 1 })
    const source = group.openSource(0)
    source.post({ volume: 0, offset: 1 })
    group.settle()
    group.closeSet()
    for (let n = 0; n < 5; n++) source.post({ volume: 1, offset: 100 + n })
    group.settle()
    expect(group.held(0).map((held) => held.offset)).toEqual([100, 101, 102, 103, 104])
    const view = {
      slot: 0,
      arena: new Arena((group.arenas[0] as Arena).buffer, (group.arenas[0] as Arena).layout),
      chunks: group.chunks[0] as (typeof group.chunks)[number],
      board: group.board
    }
    expect(listHeld(view, 2).map((held) => held.offset)).toEqual([100, 101])
    expect(listHeld(view, 0)).toEqual([])
  })
})

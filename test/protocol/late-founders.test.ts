import { expect, test } from 'vitest'
import { Arena, arenaLayoutOf } from '../../src/memory/arena.ts'
import { Board, WAY_SECONDARY } from '../../src/memory/board.ts'
import { ChunkTable } from '../../src/memory/chunk-table.ts'
import { Link, linkBytes } from '../../src/memory/link.ts'
import { SetTables, setTablesBytes } from '../../src/memory/set-tables.ts'
import { Coordinator } from '../../src/protocol/coordinator.ts'
import { SetReceiver } from '../../src/protocol/set-receiver.ts'
import type { Place } from '../../src/protocol/setting.ts'
import { ViewMember } from '../../src/protocol/view-member.ts'
import { MemoryStore } from '../../src/sim/memory-store.ts'
import { CHUNK_SHIFT, each } from './harness.ts'

const MEMBERS = 3
const VOLUMES = 2

/** Component threads come up one by one: one of them may have died before the last one looks at the board. */
test('a view that changes before all founders have come awaits them, and stands; a secondary component that comes later follows', () => {
  const shape = { slots: MEMBERS, secondaries: 1, volumes: VOLUMES }
  const board = new Board(Board.allocate(shape), shape)
  const layout = arenaLayoutOf(64 * 2 ** CHUNK_SHIFT, CHUNK_SHIFT)
  const arenas = each(MEMBERS, () => new Arena(Arena.allocate(layout), layout))
  const link = (): Link => new Link(new SharedArrayBuffer(linkBytes(128)), 128)
  const links = each(MEMBERS, () => each(MEMBERS, link))
  const drains = each(MEMBERS, () => each(1, link))
  const tables = each(MEMBERS, () => new SetTables(new SharedArrayBuffer(setTablesBytes(VOLUMES)), VOLUMES))
  const surroundings = { clock: () => 0, ring: () => {} }
  const coordinator = new Coordinator(
    {
      board,
      founders: MEMBERS,
      mirrors: 1,
      tables,
      policy: 'round-robin',
      periodMs: Number.POSITIVE_INFINITY,
      secondaries: 1,
      firstSet: 1,
      raiseCeiling: () => {},
      onSet: () => {},
      publishFinal: () => {},
      onView: () => {}
    },
    0
  )
  const begin = (slot: number, firstSet?: number): ViewMember => {
    const place: Place = {
      slot,
      mirrors: 1,
      mirrorTarget: 'default',
      ordering: 'volume-sequence',
      volumes: VOLUMES,
      board,
      arenas,
      outgoing: links[slot] as Link[],
      incoming: links.map((row) => row[slot] as Link),
      tables: tables[slot] as SetTables,
      chunks: new ChunkTable(ChunkTable.allocate(layout.chunks + layout.spareChunks)),
      secondaries: drains[slot] as Link[],
      secondaryOf: new Uint8Array(VOLUMES),
      surroundings
    }
    return new ViewMember(place, {}, firstSet)
  }
  const actors: { step(): number }[] = [begin(0, 1)]
  const settle = (): void => {
    for (let work = 1; work > 0; ) {
      coordinator.step(0, 0)
      work = actors.reduce((sum, actor) => sum + actor.step(), 0)
    }
  }
  settle()
  // Component 1 was there, and has died already; another one is in its place.
  coordinator.failed(1, true)
  actors.push(begin(1))
  coordinator.ready(1)
  settle()
  expect(coordinator.stands).toBe(false)
  actors.push(begin(2, 1))
  settle()
  // Nobody waits for who receives.
  expect(coordinator.stands).toBe(true)
  const store = new MemoryStore(0, {
    images: each(VOLUMES, () => new Uint8Array(16)),
    journaled: () => {},
    committed: () => {},
    announced: () => {},
    beginApply: () => {},
    marked: () => {}
  })
  const row = drains.map(([first]) => first as Link)
  actors.push(new SetReceiver({ index: 0, board, links: row, arenas, lastSet: 0, surroundings }, store))
  settle()
  expect(board.loadSecondaryEpoch(0)).toBe(board.loadEpoch(WAY_SECONDARY))
  expect(coordinator.members).toEqual([0, 1, 2])
})

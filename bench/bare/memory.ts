import { Arena, type ArenaLayout } from '../../src/memory/arena.ts'
import { Board, type BoardLayout } from '../../src/memory/board.ts'
import { Link, linkBytes } from '../../src/memory/link.ts'
import type { SourceLayout } from '../../src/memory/source-memory.ts'
import { SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'

/** All memory of a bare path: plain values, posted to its threads. */
export interface BareMemory {
  readonly components: number
  readonly boardLayout: BoardLayout
  readonly board: SharedArrayBuffer
  readonly arenaLayout: ArenaLayout
  readonly arenas: readonly SharedArrayBuffer[]
  readonly linkCapacity: number
  /** [sender][holder] */
  readonly links: readonly (readonly SharedArrayBuffer[])[]
  readonly sources: readonly { readonly buffer: SharedArrayBuffer; readonly layout: SourceLayout }[]
}

/** What sources and links have by default in a group. */
const RING_BYTES = 4 * 2 ** 20
const LINK_CAPACITY = 8192
/** About what a component of a group holds of a period of 100 ms; it is gone around, so that it is no more in a cache than that. */
const HELD_BYTES = 64 * 2 ** 20
/** More than all that one source has under way. */
const REGION_BYTES = 2 * RING_BYTES

export function allocateBare(components: number, sources: number, volumes: number): BareMemory {
  const boardLayout = { slots: components, secondaries: 0, volumes }
  // One region for each sender.
  const chunkBytes = Math.max(REGION_BYTES, 2 ** Math.floor(Math.log2(HELD_BYTES / components)))
  const arenaLayout = { chunkShift: Math.log2(chunkBytes), chunkBytes, chunks: components, spareChunks: 0 }
  const each = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)
  return {
    components,
    boardLayout,
    board: Board.allocate(boardLayout),
    arenaLayout,
    arenas: each(components, () => Arena.allocate(arenaLayout)),
    linkCapacity: LINK_CAPACITY,
    links: each(components, () => each(components, () => new SharedArrayBuffer(linkBytes(LINK_CAPACITY)))),
    sources: each(sources, () => {
      const layout = sourceLayout(RING_BYTES)
      return { buffer: SourceMemory.allocate(layout), layout }
    })
  }
}

export interface BareEnds {
  readonly board: Board
  readonly arenas: readonly Arena[]
  /** By slot of the peer; the one at the own slot is not used. */
  readonly outgoing: readonly Link[]
  readonly incoming: readonly Link[]
}

export function openBare(memory: BareMemory, slot: number): BareEnds {
  const { board, boardLayout, arenas, arenaLayout, links, linkCapacity } = memory
  const link = (buffer: SharedArrayBuffer): Link => new Link(buffer, linkCapacity)
  return {
    board: new Board(board, boardLayout),
    arenas: arenas.map((buffer) => new Arena(buffer, arenaLayout)),
    outgoing: (links[slot] as readonly SharedArrayBuffer[]).map(link),
    incoming: links.map((row) => link(row[slot] as SharedArrayBuffer))
  }
}

import { Arena, type ArenaLayout, arenaLayout } from '../memory/arena.ts'
import { Board, type BoardLayout } from '../memory/board.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { powerOfTwoAtLeast } from '../memory/lines.ts'
import { Link, linkBytes } from '../memory/link.ts'
import { SetTables, setTablesBytes } from '../memory/set-tables.ts'
import { laneWeight, transactionChunks } from '../protocol/members.ts'

/** Sizes that follow from the options. */
export interface GroupShape {
  /** That the group begins with; there are slots for more. */
  readonly components: number
  readonly slots: number
  readonly mirrors: number
  readonly volumes: number
  readonly secondaries: number
  readonly hasSpool: boolean
  readonly componentMemoryBytes: number
  readonly metadataOnly: boolean
}

/** All memory that the threads of a group share: plain values, so it can be posted. */
export interface GroupMemory {
  readonly shape: GroupShape
  readonly boardLayout: BoardLayout
  readonly board: SharedArrayBuffer
  readonly arenaLayout: ArenaLayout
  /** By slot; made when a component is in it for the first time. */
  readonly arenas: (SharedArrayBuffer | undefined)[]
  /** By slot: what the component knows of each chunk of its arena. */
  readonly chunkTables: readonly SharedArrayBuffer[]
  readonly linkCapacity: number
  /** [sender][holder] */
  readonly links: readonly (readonly SharedArrayBuffer[])[]
  /** [component][secondary component]; where there is a spool, the last one leads to it. */
  readonly drains: readonly (readonly SharedArrayBuffer[])[]
  /** By slot. */
  readonly tables: readonly SharedArrayBuffer[]
}

/** Where only metadata is mirrored, all that sources have posted must find room while bytes are fetched (merging.ts). */
const FETCH_BYTES = 256 * 2 ** 20
const LARGEST_LINK = 8192
const SMALLEST_LINK = 1024

/** Fewer entries in each link where there are many links. */
function linkCapacityOf(components: number): number {
  return Math.max(SMALLEST_LINK, powerOfTwoAtLeast((LARGEST_LINK * 4) / components))
}

export function arenaLayoutOfShape(shape: GroupShape): ArenaLayout {
  const { componentMemoryBytes, slots, mirrors, metadataOnly } = shape
  return arenaLayout(componentMemoryBytes, laneWeight(slots, mirrors), metadataOnly ? FETCH_BYTES : 0)
}

/** A group may grow to so many, if transactions of this size still fit then; if not, to twice what it begins with. */
const USUAL_SLOTS = 16
const USUAL_TRANSACTION = 256 * 1024

/** Slots for growth, as far as each component's memory serves that many senders. */
export function slotsFor(shape: Omit<GroupShape, 'slots'>): number {
  for (let slots = Math.max(USUAL_SLOTS, shape.components); slots > shape.components; slots--) {
    const { bytes } = transactionLimits({ ...shape, slots })
    if (bytes >= USUAL_TRANSACTION || (bytes > 0 && slots <= shape.components * 2)) return slots
  }
  return shape.components
}

/**
 * What one transaction may take, so that it fits into every component's share at once: bytes of records, and parts.
 * A quarter of each chunk may be lost at its end; one chunk of a share may be half filled already.
 */
export function transactionLimits(shape: GroupShape): { readonly bytes: number; readonly parts: number } {
  const layout = arenaLayoutOfShape(shape)
  const chunks = transactionChunks(layout.chunks, shape.slots, shape.mirrors)
  const parts = Math.min(LARGEST_LINK, linkCapacityOf(shape.components)) - 32 - chunks
  return { bytes: chunks * layout.chunkBytes * 0.75, parts: Math.max(1, parts) }
}

export function allocateGroupMemory(shape: GroupShape): GroupMemory {
  const { components, slots, secondaries, volumes, hasSpool } = shape
  const boardLayout = { slots, secondaries, volumes }
  const layout = arenaLayoutOfShape(shape)
  const linkCapacity = Math.min(LARGEST_LINK, linkCapacityOf(components))
  const each = <T>(count: number, make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => make(index))
  const link = (): SharedArrayBuffer => new SharedArrayBuffer(linkBytes(linkCapacity))
  const none = new SharedArrayBuffer(linkBytes(2))
  return {
    shape,
    boardLayout,
    board: Board.allocate(boardLayout),
    arenaLayout: layout,
    arenas: each(slots, (slot) => (slot < components ? Arena.allocate(layout) : undefined)),
    chunkTables: each(slots, () => ChunkTable.allocate(layout.chunks + layout.spareChunks)),
    linkCapacity,
    links: each(slots, (from) => each(slots, (to) => (from === to ? none : link()))),
    drains: each(slots, () => each(secondaries + (hasSpool ? 1 : 0), link)),
    tables: each(slots, () => new SharedArrayBuffer(setTablesBytes(volumes)))
  }
}

/** What one component's thread needs of it: a thread that takes over is not to wait for the links of all others to be posted. */
export interface ComponentMemory
  extends Pick<GroupMemory, 'boardLayout' | 'board' | 'arenaLayout' | 'arenas' | 'linkCapacity'> {
  readonly volumes: number
  readonly chunkTable: SharedArrayBuffer
  readonly tables: SharedArrayBuffer
  /** By slot of the holder. */
  readonly outgoing: readonly SharedArrayBuffer[]
  /** By slot of the sender. */
  readonly incoming: readonly SharedArrayBuffer[]
  /** By secondary component, then the spool's. */
  readonly drains: readonly SharedArrayBuffer[]
}

export function componentMemory(memory: GroupMemory, slot: number): ComponentMemory {
  const { boardLayout, board, arenaLayout, arenas, linkCapacity } = memory
  return {
    boardLayout,
    board,
    arenaLayout,
    arenas,
    linkCapacity,
    volumes: memory.shape.volumes,
    chunkTable: memory.chunkTables[slot] as SharedArrayBuffer,
    tables: memory.tables[slot] as SharedArrayBuffer,
    outgoing: memory.links[slot] as readonly SharedArrayBuffer[],
    incoming: memory.links.map((row) => row[slot] as SharedArrayBuffer),
    drains: memory.drains[slot] as readonly SharedArrayBuffer[]
  }
}

export function openArenas(memory: Pick<GroupMemory, 'arenas' | 'arenaLayout'>): (Arena | undefined)[] {
  return memory.arenas.map((buffer) => buffer && new Arena(buffer, memory.arenaLayout))
}

export function openLink(memory: Pick<GroupMemory, 'linkCapacity'>, buffer: SharedArrayBuffer): Link {
  const isUnused = buffer.byteLength === linkBytes(2)
  return new Link(buffer, isUnused ? 2 : memory.linkCapacity)
}

export function openTables(memory: GroupMemory): SetTables[] {
  return memory.tables.map((buffer) => new SetTables(buffer, memory.shape.volumes))
}

import type { Arena } from '../memory/arena.ts'
import type { Board } from '../memory/board.ts'
import type { ChunkTable } from '../memory/chunk-table.ts'
import type { Link } from '../memory/link.ts'
import type { SetTables } from '../memory/set-tables.ts'
import type { FetchRequest } from './refetch.ts'

/** What orders the updates of a volume within a set (R6; [0042], [0047]). */
export type Ordering = 'volume-sequence' | 'group-sequence' | 'timestamp'
/** 'default': each component has one partner; 'spread': it goes around (R7; [0048]). */
export type MirrorTarget = 'default' | 'spread'
/**
 * What lets the next set be sent (R11; [0037], [0052]): this one is journaled; or it has been received whole, and its bytes
 * are still in the memory of those who hold it.
 */
export type Confirm = 'journaled' | 'mirrored'

/** Clocks and doorbells are the runtime's; the protocol is handed them. */
export interface Surroundings {
  /** Microseconds since the epoch; may step back. */
  clock(): number
  /** Something that the control thread waits for has changed. */
  ring(): void
  /** Asks for bytes of a primary volume again; the answer comes by `ViewMember.fetched`. Where only metadata is mirrored. */
  fetch?(request: FetchRequest): void
  /** Everybody has stopped, and this component forgets what was in its memory before it came. */
  beginsEmpty?(): void
}

/** Everything one backup component works with, whatever the view: its place in the group and the memory that it shares. */
export interface Place {
  readonly slot: number
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  /** Copies beside the responsible component's have no bytes. */
  readonly metadataOnly?: boolean
  readonly ordering: Ordering
  readonly volumes: number
  readonly board: Board
  /** By slot, the own one included. Of slots that never had a component there may be none. */
  readonly arenas: readonly (Arena | undefined)[]
  /** By slot; the entry at the own slot is not used. */
  readonly outgoing: readonly Link[]
  readonly incoming: readonly Link[]
  readonly tables: SetTables
  /** Of the own arena. */
  readonly chunks: ChunkTable
  /** To the secondary components; none when sets are formed and dropped. */
  readonly secondaries: readonly Link[]
  /** By volume: the secondary component that keeps it. */
  readonly secondaryOf: Uint8Array
  /** To the spool; none where there is no spool. */
  readonly spool?: Link | undefined
  readonly surroundings: Surroundings
}

/** The same in one view. */
export interface Setting extends Place {
  /** Slots of all members, in rising order. */
  readonly members: readonly number[]
  /** Those of them that new copies may go to: the ones that do not leave. */
  readonly eligible: readonly number[]
  /** The first unsecured set (low bits). */
  readonly firstSet: number
}

/** Who is a member of the view that the board tells of. */
export function settingOf(place: Place, firstSet: number): Setting {
  const { board } = place
  return { ...place, members: board.loadMembers(), eligible: board.loadEligible(), firstSet }
}

/** There is no memory left for what is moved or fetched, and all wait for it: the group has to say so. */
export function sayNoRoom({ board, slot, surroundings }: Place): void {
  board.storeNoRoom(slot, 1)
  surroundings.ring()
}

export function arenaOf(place: Place, slot: number): Arena {
  const arena = place.arenas[slot]
  assert(arena !== undefined, `component in slot ${slot} has no memory`)
  return arena
}

/** A bug of ours, found at run time: the component stops rather than acknowledge what it cannot vouch for. */
export class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ProtocolError(message)
}

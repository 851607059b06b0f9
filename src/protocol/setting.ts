import type { Arena } from '../memory/arena.ts'
import type { Board } from '../memory/board.ts'
import type { ChunkTable } from '../memory/chunk-table.ts'
import type { Link } from '../memory/link.ts'
import type { SetTables } from '../memory/set-tables.ts'

/** What orders the updates of a volume within a set (R6; [0042], [0047]). */
export type Ordering = 'volume-sequence' | 'group-sequence' | 'timestamp'
/** 'default': each component has one partner; 'spread': it goes around (R7; [0048]). */
export type MirrorTarget = 'default' | 'spread'

/** Clocks and doorbells are the runtime's; the protocol is handed them. */
export interface Surroundings {
  /** Microseconds since the epoch; may step back. */
  clock(): number
  /** Something that the control thread waits for has changed. */
  ring(): void
}

/** Everything one backup component works with: its place in the group and the memory that it shares. */
export interface Setting {
  readonly slot: number
  /** Components in the group; slots are 0 .. members-1. */
  readonly members: number
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  readonly ordering: Ordering
  readonly volumes: number
  readonly board: Board
  /** By slot, the own one included. */
  readonly arenas: readonly Arena[]
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
  /** The first set that is formed (low bits). */
  readonly firstSet: number
  readonly surroundings: Surroundings
}

/** A bug of ours, found at run time: the component stops rather than acknowledge what it cannot vouch for. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ProtocolError(message)
}

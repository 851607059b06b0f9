import type { Arena } from '../memory/arena.ts'
import type { Board } from '../memory/board.ts'
import { CHUNK_FREE, type ChunkTable } from '../memory/chunk-table.ts'
import { REJECTED } from '../memory/link.ts'
import {
  FLAG_ZERO,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_HOLDERS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME
} from '../memory/record.ts'
import { slotsOf } from './holders.ts'
import { isAfter } from './set-identifier.ts'

/** Figure 2B: one update that a component holds (R5; [0039]). */
export interface HeldEntry {
  readonly volume: number
  /** Low bits. */
  readonly set: number
  /** 0 until the responsible component has told it. */
  readonly sequence: number
  readonly offset: number
  readonly length: number
  readonly responsible: number
  readonly mirroredTo: number[]
  /** The component that sent it; null when it came from a primary source. */
  readonly mirroredFrom: number | null
}

export interface HeldView {
  readonly slot: number
  readonly arena: Arena
  readonly chunks: ChunkTable
  readonly board: Board
}

/**
 * The table of updates of one component, at most `limit` rows, read from its memory as it stands: exact when it is at rest,
 * a glance while it works.
 */
export function listHeld(view: HeldView, limit: number): HeldEntry[] {
  const { arena, chunks } = view
  const held: HeldEntry[] = []
  const secured = view.board.loadSecured()
  for (let chunk = 0; chunk < chunks.chunks && held.length < limit; chunk++) {
    const end = chunks.endOf(chunk)
    if (chunks.stateOf(chunk) === CHUNK_FREE || end === 0) continue
    const from = chunks.senderOf(chunk)
    for (let address = chunk * arena.layout.chunkBytes; address < end && held.length < limit; ) {
      const bytes = arena.ints[(address >>> 2) + RECORD_BYTES] as number
      // It was given to someone else while we read.
      if (bytes <= 0 || address + bytes > end) break
      const volume = arena.ints[(address >>> 2) + RECORD_VOLUME] as number
      if (!(volume >= 0 && volume < view.board.layout.volumes)) break
      const isUnsecured = isAfter(arena.ints[(address >>> 2) + RECORD_SET] as number, secured)
      const isRejected = arena.floats[(address >>> 3) + RECORD_SEQUENCE] === REJECTED
      if (isUnsecured && !isRejected) held.push(readEntry(view, address, from))
      address += bytes
    }
  }
  return held
}

function readEntry(view: HeldView, address: number, from: number): HeldEntry {
  const { ints, floats } = view.arena
  const i = address >>> 2
  const f = address >>> 3
  const flags = ints[i + RECORD_FLAGS] as number
  const set = ints[i + RECORD_SET] as number
  const volume = ints[i + RECORD_VOLUME] as number
  const responsible = view.board.responsibilityIn(set)[volume] as number
  const isZero = (flags & FLAG_ZERO) !== 0
  return {
    volume,
    set,
    sequence: floats[f + RECORD_SEQUENCE] as number,
    offset: floats[f + RECORD_OFFSET] as number,
    length: isZero ? (floats[f + RECORD_PAYLOAD] as number) : (ints[i + RECORD_LENGTH] as number),
    responsible,
    mirroredTo: mirroredTo(
      view,
      responsible,
      from,
      slotsOf(ints[i + RECORD_HOLDERS] as number, ints[i + RECORD_HOLDERS + 1] as number)
    ),
    mirroredFrom: from === view.slot ? null : from
  }
}

/** To the responsible component by who took it for that one; to all others by the responsible one; by a mirror to nobody. */
function mirroredTo(view: HeldView, responsible: number, from: number, holders: number[]): number[] {
  const { slot } = view
  if (responsible === slot) return holders.filter((holder) => holder !== slot && holder !== from)
  return from === slot ? [responsible] : []
}

import type { Arena } from '../memory/arena.ts'
import { CHUNK_CLOSED, CHUNK_FREE, CHUNK_MOVING, type ChunkTable } from '../memory/chunk-table.ts'
import {
  FLAG_DROPPED,
  FLAG_METADATA,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import type { HeldUpdates } from './held.ts'
import { isAfter } from './set-identifier.ts'
import { arenaOf, type Place, type Setting } from './setting.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const DROPPED = FLAG_DROPPED
const METADATA = FLAG_METADATA
const BYTES = RECORD_BYTES
const FLAGS = RECORD_FLAGS
const LENGTH = RECORD_LENGTH
const POSITION = RECORD_POSITION
const SEQUENCE = RECORD_SEQUENCE
const SET = RECORD_SET
const SOURCE = RECORD_SOURCE
const VOLUME = RECORD_VOLUME

/** Acknowledged positions (low 32 bits) by source, final for this change of view. A source that is not there has none left. */
export type FinalPositions = ReadonlyMap<number, number>

/** Calls `each` with the byte address of every unsecured update that this component holds. */
export function forEachHeld(place: Place, secured: number, each: (address: number) => void): void {
  for (let chunk = 0; chunk < place.chunks.chunks; chunk++) forEachIn(place, chunk, secured, each)
}

function forEachIn(place: Place, chunk: number, secured: number, each: (address: number) => void): void {
  const { chunks } = place
  const { ints, layout } = arenaOf(place, place.slot)
  const end = chunks.endOf(chunk)
  if (chunks.stateOf(chunk) === CHUNK_FREE || end === 0) return
  for (let address = chunk * layout.chunkBytes; address < end; ) {
    const i = address >>> 2
    const isDropped = ((ints[i + FLAGS] as number) & DROPPED) !== 0
    if (!isDropped && isAfter(ints[i + SET] as number, secured)) each(address)
    address += ints[i + BYTES] as number
  }
}

/**
 * Cut back: drops every unsecured update beyond its source's acknowledged position. What remains is exactly what was
 * acknowledged; it is counted anew, and chunks in which nothing remains are free.
 * @param remaining  is shown what remains, while its header is at hand
 */
export function cutBack(
  setting: Setting,
  held: HeldUpdates,
  secured: number,
  final: FinalPositions,
  remaining?: { look(address: number): void }
): void {
  const arena = arenaOf(setting, setting.slot)
  const { ints, floats } = arena
  const { chunks } = setting
  for (let chunk = 0; chunk < chunks.chunks; chunk++) {
    let remains = false
    let highest = 0
    forEachIn(setting, chunk, secured, (address) => {
      const i = address >>> 2
      const ordinal = (floats[(address >>> 3) + POSITION] as number) | 0
      const acknowledged = final.get(ints[i + SOURCE] as number)
      if (acknowledged !== undefined && ((ordinal - acknowledged) | 0) >= 0) {
        ints[i + FLAGS] = (ints[i + FLAGS] as number) | DROPPED
        return
      }
      const set = ints[i + SET] as number
      if (!remains || isAfter(set, highest)) highest = set
      remains = true
      held.hold(set, ints[i + BYTES] as number)
      noteIfResponsible(setting, held, arena, address)
      remaining?.look(address)
    })
    chunks.storeState(chunk, remains ? CHUNK_CLOSED : CHUNK_FREE)
    if (remains) chunks.storeSet(chunk, highest)
  }
}

/** What a change of view had moved here counts if that view stood, and never was if it did not. */
export function settleMoved(chunks: ChunkTable, stood: boolean): void {
  for (let chunk = 0; chunk < chunks.chunks; chunk++) {
    if (chunks.stateOf(chunk) === CHUNK_MOVING) chunks.storeState(chunk, stood ? CHUNK_CLOSED : CHUNK_FREE)
  }
}

/** Counts a copy whose sequence is known, where this component is responsible for it. */
export function noteIfResponsible(setting: Setting, held: HeldUpdates, arena: Arena, address: number): void {
  const { ints, floats } = arena
  const i = address >>> 2
  const f = address >>> 3
  const set = ints[i + SET] as number
  const volume = ints[i + VOLUME] as number
  const table = setting.board.responsibilityIn(set)
  if (table[volume] !== setting.slot) return
  const dataBytes = ints[i + LENGTH] as number
  const ordinal = (floats[f + POSITION] as number) | 0
  const sequence = floats[f + SEQUENCE] as number
  held.withRoom(set).note(volume, sequence, dataBytes, ints[i + SOURCE] as number, ordinal, address)
  if (((ints[i + FLAGS] as number) & METADATA) !== 0) held.missing.add(set, address)
}

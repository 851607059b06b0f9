import type { Arena } from '../memory/arena.ts'
import { CHUNK_CLOSED, CHUNK_FREE } from '../memory/chunk-table.ts'
import {
  FLAG_DROPPED,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import { SET_WINDOW_MASK } from '../memory/source-memory.ts'
import type { HeldUpdates } from './held.ts'
import { isAfter } from './set-identifier.ts'
import type { Setting } from './setting.ts'

/** Acknowledged positions (low 32 bits) by source, final for this change of view. A source that is not there has none left. */
export type FinalPositions = ReadonlyMap<number, number>

/** Calls `each` with the byte address of every unsecured update that this component holds. */
export function forEachHeld(setting: Setting, secured: number, each: (address: number) => void): void {
  const arena = setting.arenas[setting.slot] as Arena
  const { chunks } = setting
  for (let chunk = 0; chunk < chunks.chunks; chunk++) {
    const end = chunks.endOf(chunk)
    if (chunks.stateOf(chunk) === CHUNK_FREE || end === 0) continue
    for (let address = chunk * arena.layout.chunkBytes; address < end; ) {
      const i = address >>> 2
      const isDropped = ((arena.ints[i + RECORD_FLAGS] as number) & FLAG_DROPPED) !== 0
      if (!isDropped && isAfter(arena.ints[i + RECORD_SET] as number, secured)) each(address)
      address += arena.ints[i + RECORD_BYTES] as number
    }
  }
}

/**
 * Cut back: drops every unsecured update beyond its source's acknowledged position. What remains is exactly what was
 * acknowledged; it is counted anew, and chunks in which nothing remains are free.
 */
export function cutBack(setting: Setting, held: HeldUpdates, secured: number, final: FinalPositions): void {
  const arena = setting.arenas[setting.slot] as Arena
  const { ints, floats, layout } = arena
  const highest = new Map<number, number>()
  forEachHeld(setting, secured, (address) => {
    const i = address >>> 2
    const source = ints[i + RECORD_SOURCE] as number
    const ordinal = (floats[(address >>> 3) + RECORD_POSITION] as number) | 0
    const acknowledged = final.get(source)
    if (acknowledged !== undefined && ((ordinal - acknowledged) | 0) >= 0) {
      ints[i + RECORD_FLAGS] = (ints[i + RECORD_FLAGS] as number) | FLAG_DROPPED
      return
    }
    const set = ints[i + RECORD_SET] as number
    const chunk = address >>> layout.chunkShift
    const before = highest.get(chunk)
    if (before === undefined || isAfter(set, before)) highest.set(chunk, set)
    held.hold(set, ints[i + RECORD_BYTES] as number)
    noteIfResponsible(setting, held, arena, address)
  })
  const { chunks } = setting
  for (let chunk = 0; chunk < chunks.chunks; chunk++) {
    const set = highest.get(chunk)
    chunks.storeState(chunk, set === undefined ? CHUNK_FREE : CHUNK_CLOSED)
    if (set !== undefined) chunks.storeSet(chunk, set)
  }
}

/** Counts a copy whose sequence is known, where this component is responsible for it. */
export function noteIfResponsible(setting: Setting, held: HeldUpdates, arena: Arena, address: number): void {
  const { ints, floats } = arena
  const i = address >>> 2
  const f = address >>> 3
  const set = ints[i + RECORD_SET] as number
  const volume = ints[i + RECORD_VOLUME] as number
  const table = setting.board.responsibility[set & SET_WINDOW_MASK] as Uint8Array
  if (table[volume] !== setting.slot) return
  const dataBytes = ints[i + RECORD_LENGTH] as number
  const ordinal = (floats[f + RECORD_POSITION] as number) | 0
  const sequence = floats[f + RECORD_SEQUENCE] as number
  held.note(set, volume, sequence, dataBytes, ints[i + RECORD_SOURCE] as number, ordinal, address)
}

import { nameHashOfRange, type SetTables } from '../memory/set-tables.ts'
import type { SourceMemory } from '../memory/source-memory.ts'
import { isAfter } from './set-identifier.ts'

/**
 * Conservation: acknowledged to sources = held by responsible components, in number and in the sum over names. It is how
 * the group knows that nothing was lost, and it catches our own bugs in production.
 */
export interface Tally {
  updates: number
  /** Sum of nameHash, modulo 2^32. */
  names: number
}

export interface CountedSource {
  readonly id: number
  readonly memory: SourceMemory
}

/**
 * What was acknowledged to one source in a set in which every component is quiet. Exact whatever thread dies when: the
 * ordinal at which a set begins is written before the acknowledged position moves into that set.
 * @param forming  the forming set (low bits), which is later than `set`
 */
export function acknowledgedTo(source: CountedSource, set: number, forming: number): Tally {
  const { memory } = source
  // The position first: what it covers has its beginnings written.
  const acknowledged = memory.loadReleased()
  if (!memory.hasSetBegin(set)) return { updates: 0, names: 0 }
  const begin = memory.loadSetBegin(set)
  let end = acknowledged
  for (let later = (set + 1) | 0; !isAfter(later, forming); later = (later + 1) | 0) {
    if (memory.hasSetBegin(later)) {
      end = memory.loadSetBegin(later)
      break
    }
  }
  const updates = (end - begin) >>> 0
  return { updates, names: nameHashOfRange(source.id, begin, updates) }
}

export interface ManifestSum extends Tally {
  bytes: number
}

/**
 * The manifests of all components together; adds each volume's load to `loads`. A volume in the manifest of a component
 * that is not responsible for it is a violation of I5: its name is returned.
 */
export function sumManifests(
  tables: readonly SetTables[],
  set: number,
  responsibility: Uint8Array,
  loads: Float64Array
): ManifestSum & { misplaced: number } {
  const sum = { updates: 0, names: 0, bytes: 0, misplaced: -1 }
  for (let slot = 0; slot < tables.length; slot++) {
    const table = (tables[slot] as SetTables).at(set)
    if (table.set !== set) continue
    for (let n = 0; n < table.touchedCount; n++) {
      const volume = table.touched[n] as number
      if (responsibility[volume] !== slot) sum.misplaced = volume
      const updates = table.countOf(volume)
      const bytes = table.bytesOf(volume)
      sum.updates += updates
      sum.bytes += bytes
      sum.names = (sum.names + table.namesOf(volume)) | 0
      loads[volume] = (loads[volume] as number) + bytes + updates * LOAD_PER_UPDATE
    }
  }
  return sum
}

/** An update without bytes costs about as much as this many bytes. */
const LOAD_PER_UPDATE = 256

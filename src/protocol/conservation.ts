import {
  RECORD_BYTES,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_VOLUME,
  recordBytesFor,
  ZERO_RECORD_BYTES
} from '../memory/record.ts'
import { nameHashOfRange, type SetTables } from '../memory/set-tables.ts'
import type { SourceMemory } from '../memory/source-memory.ts'
import { isAfter } from './set-identifier.ts'
import { ProtocolError } from './setting.ts'

/**
 * Conservation: acknowledged to sources = held by responsible components, in number and in the sum over names. It is how
 * the group knows that nothing was lost, and it catches our own bugs in production.
 */
export interface Tally {
  updates: number
  /** Sum of nameHash, modulo 2^32. */
  names: number
}

/** What was acknowledged and what is held are not the same: an update is lost, or we have a bug. Nothing may go on as if not. */
export class LossError extends ProtocolError {
  override readonly name = 'LossError'
  readonly sets: readonly number[]
  /** Of these, some may miss updates: components responsible for them have died. Empty when none has. */
  readonly volumes: readonly number[]

  constructor(sets: readonly number[], volumes: readonly number[], acknowledged: number, held: number) {
    super(
      `set ${sets.join(', ')} is not conserved: ${acknowledged} updates acknowledged, ${held} held` +
        (acknowledged === held ? ', not the same ones' : '')
    )
    this.sets = sets
    this.volumes = volumes
    this.counts = { acknowledged, held }
  }

  static together(losses: readonly LossError[]): LossError {
    const volumes = new Set(losses.flatMap((loss) => loss.volumes))
    const sum = (which: 'acknowledged' | 'held'): number =>
      losses.reduce((total, loss) => total + loss.counts[which], 0)
    const sets = losses.flatMap((loss) => loss.sets)
    return new LossError(
      sets,
      [...volumes].sort((a, b) => a - b),
      sum('acknowledged'),
      sum('held')
    )
  }

  private readonly counts: { readonly acknowledged: number; readonly held: number }
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
  const { begin, updates } = rangeOf(source, set, forming)
  return { updates, names: nameHashOfRange(source.id, begin, updates) }
}

/** The ordinals that were acknowledged to a source in a set. */
function rangeOf({ memory }: CountedSource, set: number, forming: number): { begin: number; updates: number } {
  // The position first: what it covers has its beginnings written.
  const acknowledged = memory.loadReleased()
  if (!memory.hasSetBegin(set)) return { begin: 0, updates: 0 }
  const begin = memory.loadSetBegin(set)
  let end = acknowledged
  for (let later = (set + 1) | 0; !isAfter(later, forming); later = (later + 1) | 0) {
    if (memory.hasSetBegin(later)) {
      end = memory.loadSetBegin(later)
      break
    }
  }
  return { begin, updates: (end - begin) >>> 0 }
}

/**
 * The volumes of which some update acknowledged in this set is not held: found by counting what still stands in the
 * sources' rings. Undefined where the ring has been used again since: then it cannot be told.
 */
export function volumesThatLost(
  sources: Iterable<CountedSource>,
  tables: readonly SetTables[],
  members: readonly number[],
  set: number,
  forming: number,
  volumes: number
): number[] | undefined {
  const missing = new Map<number, number>()
  for (const source of sources) {
    const { ints, entries, mask } = source.memory
    const { begin, updates } = rangeOf(source, set, forming)
    for (let n = 0; n < updates; n++) {
      const ordinal = (begin + n) | 0
      const at = entries[ordinal & mask] as number
      const volume = ints[(at >>> 2) + RECORD_VOLUME] as number
      if (!isWhole(source.memory, at, ordinal) || !(volume >= 0 && volume < volumes)) return undefined
      missing.set(volume, (missing.get(volume) ?? 0) + 1)
    }
  }
  for (const slot of members) {
    const table = (tables[slot] as SetTables).at(set)
    for (const [volume, count] of missing) if (table.set === set) missing.set(volume, count - table.countOf(volume))
  }
  return [...missing].flatMap(([volume, count]) => (count === 0 ? [] : [volume])).sort((a, b) => a - b)
}

/** Whether the header at this place still is that of this update: the end of a later record may lie over its beginning alone. */
function isWhole({ ints, floats }: SourceMemory, at: number, ordinal: number): boolean {
  if (((floats[(at >>> 3) + RECORD_POSITION] as number) | 0) !== ordinal) return false
  const bytes = ints[(at >>> 2) + RECORD_BYTES]
  const length = ints[(at >>> 2) + RECORD_LENGTH] as number
  return bytes === recordBytesFor(length) || (length === 0 && bytes === ZERO_RECORD_BYTES)
}

export interface ManifestSum extends Tally {
  bytes: number
}

/**
 * The manifests of all members together; adds each volume's load to `loads`. A volume in the manifest of a component
 * that is not responsible for it is a violation of I5: its name is returned.
 */
export function sumManifests(
  tables: readonly SetTables[],
  members: readonly number[],
  set: number,
  responsibility: Uint8Array,
  loads?: Float64Array
): ManifestSum & { misplaced: number } {
  const sum = { updates: 0, names: 0, bytes: 0, misplaced: -1 }
  for (const slot of members) {
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
      if (loads !== undefined) loads[volume] = (loads[volume] as number) + bytes + updates * LOAD_PER_UPDATE
    }
  }
  return sum
}

/** An update without bytes costs about as much as this many bytes. */
const LOAD_PER_UPDATE = 256

import { LINE_BYTES, LINE_INTS, linesFor } from './lines.ts'
import { SET_WINDOW, SET_WINDOW_MASK } from './source-memory.ts'

/**
 * What one component is responsible for, set by set: figure 2A's volumes with their running numbers. When the set is sealed,
 * its table is the component's manifest, and the control thread reads it here.
 *
 *      per set in the window:
 *      line 0   set | touched volumes
 *      list     the touched volumes, in the order in which they were first touched
 *      rows     per volume 32 bytes:  count | names | bytes (float64) | highest sequence (float64) | -
 */
const ROW_INTS = 8
const SET = 0
const TOUCHED = 1

/** In place of a sequence: the one that follows the highest of the volume in this set. */
const NEXT = 0
export const NEXT_OF_VOLUME = NEXT

export class SetTable {
  readonly head: Int32Array<SharedArrayBuffer>
  readonly touched: Int32Array<SharedArrayBuffer>
  readonly ints: Int32Array<SharedArrayBuffer>
  readonly floats: Float64Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer, byteOffset: number, volumes: number) {
    this.head = new Int32Array(buffer, byteOffset, LINE_INTS)
    this.touched = new Int32Array(buffer, byteOffset + LINE_BYTES, volumes)
    const rowsAt = byteOffset + LINE_BYTES + linesFor(volumes * 4)
    this.ints = new Int32Array(buffer, rowsAt, volumes * ROW_INTS)
    this.floats = new Float64Array(buffer, rowsAt, (volumes * ROW_INTS) / 2)
  }

  static bytesFor(volumes: number): number {
    return LINE_BYTES + linesFor(volumes * 4) + linesFor(volumes * ROW_INTS * 4)
  }

  get set(): number {
    return this.head[SET] as number
  }
  get touchedCount(): number {
    return this.head[TOUCHED] as number
  }
  countOf(volume: number): number {
    return this.ints[volume * ROW_INTS] as number
  }
  bytesOf(volume: number): number {
    return this.floats[volume * 4 + 1] as number
  }
  highestOf(volume: number): number {
    return this.floats[volume * 4 + 2] as number
  }

  /** The number that follows the highest one given in this set and volume. */
  nextSequence(volume: number): number {
    return (this.floats[volume * 4 + 2] as number) + 1
  }

  /**
   * Counts one update that this component is responsible for. Returns its sequence.
   * @param sequence  NEXT_OF_VOLUME: it is given one here
   * @param name  nameHash of it
   */
  count(volume: number, sequence: number, bytes: number, name: number): number {
    const row = volume * ROW_INTS
    const ints = this.ints
    const before = ints[row] as number
    if (before === 0) {
      const head = this.head
      const touched = head[TOUCHED] as number
      this.touched[touched] = volume
      head[TOUCHED] = touched + 1
    }
    ints[row] = before + 1
    ints[row + 1] = ((ints[row + 1] as number) + name) | 0
    const at = volume * 4
    const { floats } = this
    floats[at + 1] = (floats[at + 1] as number) + bytes
    const given = sequence === NEXT ? this.nextSequence(volume) : sequence
    if (given > (floats[at + 2] as number)) floats[at + 2] = given
    return given
  }

  namesOf(volume: number): number {
    return this.ints[volume * ROW_INTS + 1] as number
  }

  /** Empties the rows that were touched and gives the table to another set. */
  restart(set: number): void {
    const touched = this.head[TOUCHED] as number
    for (let n = 0; n < touched; n++) {
      const row = (this.touched[n] as number) * ROW_INTS
      this.ints.fill(0, row, row + ROW_INTS)
    }
    this.head[TOUCHED] = 0
    this.head[SET] = set
  }
}

export function setTablesBytes(volumes: number): number {
  return SET_WINDOW * SetTable.bytesFor(volumes)
}

/** The tables of all sets in the window; of set c: [c & SET_WINDOW_MASK]. */
export class SetTables {
  private readonly tables: readonly SetTable[]

  constructor(buffer: SharedArrayBuffer, volumes: number) {
    const bytes = SetTable.bytesFor(volumes)
    this.tables = Array.from({ length: SET_WINDOW }, (_, n) => new SetTable(buffer, n * bytes, volumes))
  }

  at(set: number): SetTable {
    return this.tables[set & SET_WINDOW_MASK] as SetTable
  }
}

/** One update's share in the sum over names, modulo 2^32. @param ordinal  low 32 bits of its position */
export function nameHash(source: number, ordinal: number): number {
  return (Math.imul(ordinal, 0x9e3779b1) + Math.imul(source + 1, 0x85ebca6b)) | 0
}

/** The sum of nameHash over `count` updates of a source from `ordinal` on. */
export function nameHashOfRange(source: number, ordinal: number, count: number): number {
  const n = BigInt(count)
  const ordinals = n * BigInt(ordinal) + (n * (n - 1n)) / 2n
  const sum = ordinals * 0x9e3779b1n + n * BigInt(Math.imul(source + 1, 0x85ebca6b))
  return Number(BigInt.asIntN(32, sum))
}

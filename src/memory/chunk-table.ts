/**
 * What a component knows of each chunk of its arena, 16 bytes a chunk, in shared memory so that others may look:
 *
 *      state | sender and lane | highest set of its updates (low bits) | byte address behind the last update, 0 when it has none
 *
 * Only the component writes it. Between the chunk's beginning and `end` lie whole records of which it has taken note.
 */
const INTS = 4
const STATE = 0
const LANE = 1
const SET = 2
const END = 3

export const CHUNK_FREE = 0
/** One lane fills it. */
export const CHUNK_GRANTED = 1
/** Nobody writes into it; its sets are not secured yet. */
export const CHUNK_CLOSED = 2
/** Copies that a change of view moves are put there; they count when that view stands, and never were when it does not. */
export const CHUNK_MOVING = 3

const SENDER_SHIFT = 16
const LANE_MASK = (1 << SENDER_SHIFT) - 1

export class ChunkTable {
  readonly chunks: number
  private readonly ints: Int32Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer) {
    this.ints = new Int32Array(buffer)
    this.chunks = this.ints.length / INTS
  }

  static allocate(chunks: number): SharedArrayBuffer {
    return new SharedArrayBuffer(chunks * INTS * 4)
  }

  stateOf(chunk: number): number {
    return this.ints[chunk * INTS + STATE] as number
  }
  laneOf(chunk: number): number {
    return (this.ints[chunk * INTS + LANE] as number) & LANE_MASK
  }
  /** The slot whose component filled it; the own one where updates came from primary sources. */
  senderOf(chunk: number): number {
    return (this.ints[chunk * INTS + LANE] as number) >>> SENDER_SHIFT
  }
  setOf(chunk: number): number {
    return this.ints[chunk * INTS + SET] as number
  }
  /** 0 when there is no update in it. */
  endOf(chunk: number): number {
    return this.ints[chunk * INTS + END] as number
  }

  storeState(chunk: number, state: number): void {
    this.ints[chunk * INTS + STATE] = state
  }
  storeSet(chunk: number, set: number): void {
    this.ints[chunk * INTS + SET] = set
  }
  storeEnd(chunk: number, address: number): void {
    this.ints[chunk * INTS + END] = address
  }
  grant(chunk: number, lane: number, sender: number, state = CHUNK_GRANTED): void {
    const at = chunk * INTS
    this.ints[at + STATE] = state
    this.ints[at + LANE] = (sender << SENDER_SHIFT) | lane
    this.ints[at + END] = 0
  }
}

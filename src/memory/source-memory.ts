import { EntryRing, entryRingBytes, PUBLISHED_AT, RELEASED_AT } from './entry-ring.ts'
import { LINE_BYTES, LINE_INTS, linesFor, powerOfTwoAtLeast } from './lines.ts'
import { Parking } from './parking.ts'

/**
 * A source's own memory, at the primary's side: a ring of variable records, and what it is told about them.
 *
 *      line 0    state, attached slot, port claim, thread   written rarely
 *      line 1    parking: the source sleeps until the acknowledged position moves
 *      lines     set begins: SET_WINDOW x (set, ordinal), written by the attached component
 *      ring      entries [ordinal & mask] = address of the record; `released` is the acknowledged position, `published` has
 *                31 bits of an ordinal, and below them whether the attached component dozes
 *      body      the records; one never wraps around the end
 *
 * The acknowledged position is one word: it moves, in one store, past updates that mirrors+1 components hold. What belongs to
 * it (the receipt in the record's header, the ordinal at which a set begins) is written before.
 *
 * A component that is about to sleep says so in the word that the source publishes with, then looks for the last time. So
 * posting takes one atomic access, which tells whether somebody has to be woken, and nobody has to be told twice.
 */
export const SET_WINDOW = 16
export const SET_WINDOW_MASK = SET_WINDOW - 1

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const PUBLISHED = PUBLISHED_AT
const RELEASED = RELEASED_AT

/** In the published word. */
const DOZES = 1

const STATE = 0
const ATTACHED = 1
const CLAIMED = 2
const OWNER = 3
const PARKING = LINE_INTS
const BEGINS = LINE_INTS * 2
const HEADER_LINES = 2 + Math.ceil((SET_WINDOW * 8) / LINE_BYTES)

export const SOURCE_OPEN = 0
/** No more is posted; the component lets go of it when all is acknowledged. */
export const SOURCE_CLOSING = 1
export const SOURCE_SUSPENDED = 2
/** The group has ended, or the component let go of it: nothing is taken any more. */
export const SOURCE_CLOSED = 3
/** Nothing is acknowledged any more though it was posted: the group ended without draining. */
export const SOURCE_ABANDONED = 4

export interface SourceLayout {
  readonly bodyBytes: number
  readonly capacity: number
}

/** A record with no data takes 56 bytes; fewer entries than that suffice, as most updates carry some. */
export function sourceLayout(ringBytes: number): SourceLayout {
  const bodyBytes = powerOfTwoAtLeast(ringBytes)
  return { bodyBytes, capacity: Math.max(16, bodyBytes / 64) }
}

export class SourceMemory extends EntryRing {
  readonly buffer: SharedArrayBuffer
  readonly bodyBytes: number
  /** The body, in the widths that records are written and copied with. */
  readonly ints: Int32Array<SharedArrayBuffer>
  readonly floats: Float64Array<SharedArrayBuffer>
  readonly longs: BigInt64Array<SharedArrayBuffer>
  readonly bytes: Buffer<SharedArrayBuffer>
  /** Where the source sleeps until the acknowledged position or the state has changed. */
  readonly parking: Parking
  private readonly header: Int32Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer, layout: SourceLayout) {
    const ringAt = HEADER_LINES * LINE_BYTES
    super(buffer, ringAt, layout.capacity)
    this.buffer = buffer
    this.bodyBytes = layout.bodyBytes
    this.header = new Int32Array(buffer, 0, HEADER_LINES * LINE_INTS)
    this.parking = new Parking(this.header, PARKING)
    const bodyAt = ringAt + entryRingBytes(layout.capacity)
    this.ints = new Int32Array(buffer, bodyAt, layout.bodyBytes / 4)
    this.floats = new Float64Array(buffer, bodyAt, layout.bodyBytes / 8)
    this.longs = new BigInt64Array(buffer, bodyAt, layout.bodyBytes / 8)
    this.bytes = Buffer.from(buffer, bodyAt, layout.bodyBytes)
  }

  static allocate(layout: SourceLayout): SharedArrayBuffer {
    const rings = entryRingBytes(layout.capacity)
    const buffer = new SharedArrayBuffer(HEADER_LINES * LINE_BYTES + rings + linesFor(layout.bodyBytes))
    // The first place of the set begins would otherwise be taken for set 0; no set of that place has these low bits.
    new Int32Array(buffer)[BEGINS] = 1
    return buffer
  }

  loadState(): number {
    return Atomics.load(this.header, STATE)
  }

  /** The same without waiting for what other threads do just now; for those who look again and again. */
  peekState(): number {
    return this.header[STATE] as number
  }

  storeState(state: number): void {
    Atomics.store(this.header, STATE, state)
  }

  /** SOURCE_OPEN to `state`; false when it was not open. */
  leaveOpen(state: number): boolean {
    return Atomics.compareExchange(this.header, STATE, SOURCE_OPEN, state) === SOURCE_OPEN
  }

  /** Low 32 bits; it is never 2^30 away from what is acknowledged. */
  override loadPublished(): number {
    const word = Atomics.load(this.words, PUBLISHED)
    const near = this.words[RELEASED] as number
    return (near + ((((word >>> 1) - near) << 1) >> 1)) | 0
  }

  /** Returns whether the attached component has to be woken. */
  override publish(ordinal: number): boolean {
    return (Atomics.exchange(this.words, PUBLISHED, ordinal << 1) & DOZES) !== 0
  }

  /** By the component, before it looks for the last time, after it has said in its own parking that it sleeps. */
  doze(): void {
    Atomics.or(this.words, PUBLISHED, DOZES)
  }

  /** Slot of the component that takes this source's updates. */
  loadAttached(): number {
    return Atomics.load(this.header, ATTACHED)
  }

  storeAttached(slot: number): void {
    Atomics.store(this.header, ATTACHED, slot)
  }

  /** The thread of the host in which it is; undefined for one that was opened by the host itself. */
  loadOwner(): number | undefined {
    const owner = Atomics.load(this.header, OWNER)
    return owner === 0 ? undefined : owner - 1
  }
  storeOwner(threadId: number): void {
    Atomics.store(this.header, OWNER, threadId + 1)
  }

  /** True for the first caller only: a port attaches once. */
  claim(): boolean {
    return Atomics.compareExchange(this.header, CLAIMED, 0, 1) === 0
  }

  /** By the component, before it acknowledges the first update of a set: `ordinal` (low 32 bits) is that update. */
  storeSetBegin(set: number, ordinal: number): void {
    const at = BEGINS + (set & SET_WINDOW_MASK) * 2
    // The set last: a reader that finds the set finds its ordinal.
    Atomics.store(this.header, at + 1, ordinal)
    Atomics.store(this.header, at, set)
  }

  /** Whether an update of that set (low bits, not 0) was acknowledged while it was in the window. */
  hasSetBegin(set: number): boolean {
    return Atomics.load(this.header, BEGINS + (set & SET_WINDOW_MASK) * 2) === set
  }

  /** Forgets a beginning that was written and never acknowledged. */
  clearSetBegin(set: number): void {
    // Its place belongs to sets with the same low four bits: no other one matches.
    Atomics.store(this.header, BEGINS + (set & SET_WINDOW_MASK) * 2, (set + 1) | 0)
  }

  loadSetBegin(set: number): number {
    return Atomics.load(this.header, BEGINS + (set & SET_WINDOW_MASK) * 2 + 1)
  }
}

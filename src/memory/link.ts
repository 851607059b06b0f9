import { EntryRing, entryRingBytes } from './entry-ring.ts'
import { LINE_BYTES, LINE_INTS, linesFor } from './lines.ts'

/**
 * A link from one component (the sender) to another (the holder), in one direction.
 *
 *      entry ring            sender -> holder: what was sent, in order
 *      noted | held (line)   holder -> sender, two ordinals:
 *                            entries below `noted` were read and noted, their sequences given; the ring has room again
 *                            entries below `held` are held also by those to whom the holder had to pass them on
 *      sequences             holder -> sender: [ordinal & mask], the sequence identifier given to that entry
 *
 * Where nothing is passed on (one mirror), only `noted` is used. The two are apart since copies for mirrors must never be
 * answered later because of requests before them: those wait for copies elsewhere, and so on around the group.
 *
 * The bytes of an update do not travel through the ring: the sender has written them into a place in the holder's arena
 * that the holder granted before, and the entry tells where. An entry is a kind in the low three bits and a value above.
 */
const KIND_BITS = 3
const KIND_MASK = (1 << KIND_BITS) - 1

/** An update; the value is its address in the holder's arena in units of 8 bytes. */
export const ENTRY_UPDATE = 0
/** The sender will write no more into this chunk of the holder. */
export const ENTRY_CLOSE = 1
/** The holder of this link's opposite direction grants a chunk of the sender's arena; the value has lane and chunk. */
export const ENTRY_GRANT = 2
/** The sender needs so many chunks at once in a lane, for a transaction. */
export const ENTRY_WANT = 3
/** To a secondary component: the part of a set begins; the value is the low bits of the set. */
export const ENTRY_PART_BEGIN = 4
/** To a secondary component: the part ends. */
export const ENTRY_PART_END = 5
/** A copy that a change of view moves here; the value is its address. */
export const ENTRY_MOVED = 6
/** To a secondary component: what follows, up to the next one, is of this epoch (its low bits). */
export const ENTRY_EPOCH = 7

/** Written in place of a sequence when the holder rejected the update (block 334). */
export const REJECTED = -1

const NOTED = 0
const HELD = 1

export function entry(kind: number, value: number): number {
  return (value << KIND_BITS) | kind
}
export function entryKind(word: number): number {
  return word & KIND_MASK
}
export function entryValue(word: number): number {
  return word >>> KIND_BITS
}

export function linkBytes(capacity: number): number {
  return entryRingBytes(capacity) + LINE_BYTES + linesFor(capacity * 8)
}

export class Link extends EntryRing {
  readonly sequences: Float64Array<SharedArrayBuffer>
  private readonly answers: Int32Array<SharedArrayBuffer>

  constructor(memory: SharedArrayBuffer, capacity: number, byteOffset = 0) {
    super(memory, byteOffset, capacity)
    const answersAt = byteOffset + entryRingBytes(capacity)
    this.answers = new Int32Array(memory, answersAt, LINE_INTS)
    this.sequences = new Float64Array(memory, answersAt + LINE_BYTES, capacity)
  }

  /** By the sender, while everybody has stopped: the ring begins anew. */
  restartSender(): void {
    this.publish(0)
  }
  /** By the holder, while everybody has stopped. */
  restartHolder(): void {
    this.storeNoted(0)
    this.storeHeld(0)
  }

  /** Where the sender before this one has stopped. */
  lastPublished(): number {
    return super.loadPublished()
  }
  /** Where the holder before this one has stopped. */
  lastNoted(): number {
    return Atomics.load(this.answers, NOTED)
  }

  loadNoted(): number {
    return Atomics.load(this.answers, NOTED)
  }

  /** By the holder, after the sequences of the entries below `ordinal` have been written. */
  storeNoted(ordinal: number): void {
    Atomics.store(this.answers, NOTED, ordinal)
  }

  loadHeld(): number {
    return Atomics.load(this.answers, HELD)
  }

  storeHeld(ordinal: number): void {
    Atomics.store(this.answers, HELD, ordinal)
  }
}

import { LINE_BYTES, LINE_INTS, linesFor } from './lines.ts'

/**
 * A ring of int32 entries with one writer and one reader, either of which may be terminated between any two statements.
 *
 *      line 0   published   written by the writer: ordinals below it are readable
 *      line 1   released    written by the reader: ordinals below it may be overwritten
 *      line 2.. entries     [ordinal & mask]
 *
 * Cursors are ordinals that wrap at 2^32; differences are taken with `| 0`. Fill, then publish with one atomic store:
 * what was not published never existed.
 */
const PUBLISHED = 0
const RELEASED = LINE_INTS
export const PUBLISHED_AT = PUBLISHED
export const RELEASED_AT = RELEASED

export function entryRingBytes(capacity: number): number {
  return 2 * LINE_BYTES + linesFor(capacity * 4)
}

export class EntryRing {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly entries: Int32Array<SharedArrayBuffer>
  readonly capacity: number
  readonly mask: number

  constructor(memory: SharedArrayBuffer, byteOffset: number, capacity: number) {
    if (capacity < 2 || (capacity & (capacity - 1)) !== 0) throw new RangeError('capacity must be a power of two')
    this.words = new Int32Array(memory, byteOffset, LINE_INTS * 2)
    this.entries = new Int32Array(memory, byteOffset + 2 * LINE_BYTES, capacity)
    this.capacity = capacity
    this.mask = capacity - 1
  }

  loadPublished(): number {
    return Atomics.load(this.words, PUBLISHED)
  }

  loadReleased(): number {
    return Atomics.load(this.words, RELEASED)
  }

  /** By the writer only, after the entries below `ordinal` have been filled. */
  publish(ordinal: number): void {
    Atomics.store(this.words, PUBLISHED, ordinal)
  }

  /** By the reader only, when it will not look at entries below `ordinal` again. */
  release(ordinal: number): void {
    Atomics.store(this.words, RELEASED, ordinal)
  }
}

import {
  FLAG_RECEIPT,
  FLAG_SAMPLED,
  FLAG_ZERO,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME,
  recordBytesFor,
  ZERO_RECORD_BYTES
} from './record.ts'
import type { SourceMemory } from './source-memory.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const BYTES = RECORD_BYTES
const FLAGS = RECORD_FLAGS
const LENGTH = RECORD_LENGTH
const OFFSET = RECORD_OFFSET
const PAYLOAD = RECORD_PAYLOAD
const POSITION = RECORD_POSITION
const SEQUENCE = RECORD_SEQUENCE
const SET = RECORD_SET
const VOLUME = RECORD_VOLUME
const RECEIPT = FLAG_RECEIPT
const SAMPLED = FLAG_SAMPLED
const ZERO = FLAG_ZERO

/**
 * The writing end of a source's ring: puts records one after the other, then publishes them with one store. Nothing that was
 * put is visible, or lost to the ring's space, before: `rollback` forgets it.
 */
export class SourceWriter {
  readonly memory: SourceMemory
  /** Low 32 bits of the ordinals of the next record, the first unpublished, and the first unacknowledged as last seen. */
  private ordinal: number
  private published: number
  private released: number
  /** The unwrapped ordinal of the next record. */
  private position: number
  /** Byte address at which the next record is put, if it fits there. */
  private at = 0
  private markOrdinal = 0
  private markAt = 0

  /** Goes on behind what is published: what an earlier writer had put and not published never existed. */
  constructor(memory: SourceMemory) {
    this.memory = memory
    this.ordinal = memory.loadPublished()
    this.published = this.ordinal
    this.released = memory.loadReleased()
    this.position = this.ordinal >>> 0
    if (this.released === this.ordinal) return
    // Only a writer changes these words of a record, whatever is acknowledged meanwhile.
    const last = memory.entries[(this.ordinal - 1) & memory.mask] as number
    this.at = last + (memory.ints[(last >>> 2) + BYTES] as number)
    this.position = (memory.floats[(last >>> 3) + POSITION] as number) + 1
  }

  /** Ordinal (low 32 bits) of the next record. */
  get next(): number {
    return this.ordinal
  }

  /** How far it was acknowledged when we looked last. */
  get acknowledged(): number {
    return this.released
  }

  /**
   * Looks how far the source is acknowledged: the places of records below it are used again from now on, so whoever wants to
   * read a receipt does it before the next `put`.
   */
  refresh(): number {
    this.released = this.memory.loadReleased()
    return this.released
  }

  /**
   * Puts an update of `length` bytes of `data` from `dataOffset` on; false when there is no room.
   * @param stamp  low 32 bits of the clock in microseconds where flags has FLAG_SAMPLED
   */
  put(
    volume: number,
    offset: number,
    data: Uint8Array,
    dataOffset: number,
    length: number,
    flags: number,
    stamp: number
  ): boolean {
    const address = this.place(recordBytesFor(length), volume, offset, length, flags, stamp)
    if (address < 0) return false
    const { bytes } = this.memory
    const payload = address + PAYLOAD * 8
    if (length === data.length) bytes.set(data, payload)
    else bytes.set(data.subarray(dataOffset, dataOffset + length), payload)
    return true
  }

  /** Puts an update after which the range reads as zeros; false when there is no room. */
  putZero(volume: number, offset: number, length: number, flags: number, stamp: number): boolean {
    const address = this.place(ZERO_RECORD_BYTES, volume, offset, 0, flags | ZERO, stamp)
    if (address < 0) return false
    this.memory.floats[(address >>> 3) + PAYLOAD] = length
    return true
  }

  /** Takes the room of an update of `length` bytes without filling it: to be rolled back. */
  putRoom(length: number): boolean {
    return this.place(recordBytesFor(length), 0, 0, length, 0, 0) >= 0
  }

  /** Remembers where a transaction begins. */
  mark(): void {
    this.markOrdinal = this.ordinal
    this.markAt = this.at
  }

  /** Forgets what was put since the mark. */
  rollback(): void {
    this.position -= (this.ordinal - this.markOrdinal) | 0
    this.ordinal = this.markOrdinal
    this.at = this.markAt
  }

  /**
   * Makes all that was put visible in one store: whole transactions, or nothing of them. Returns whether the component has
   * to be woken.
   */
  publish(): boolean {
    if (this.published === this.ordinal) return false
    this.published = this.ordinal
    return this.memory.publish(this.ordinal)
  }

  private place(
    recordBytes: number,
    volume: number,
    offset: number,
    length: number,
    flags: number,
    stamp: number
  ): number {
    const { memory } = this
    const address = this.find(recordBytes)
    if (address < 0) return -1
    const { ints, floats } = memory
    const i = address >>> 2
    const f = address >>> 3
    ints[i + BYTES] = recordBytes
    ints[i + FLAGS] = flags
    ints[i + VOLUME] = volume | 0
    floats[f + POSITION] = this.position
    floats[f + OFFSET] = offset
    ints[i + LENGTH] = length
    if ((flags & SAMPLED) !== 0) ints[i + SET] = stamp
    if ((flags & RECEIPT) !== 0) floats[f + SEQUENCE] = 0
    memory.entries[this.ordinal & memory.mask] = address
    this.ordinal = (this.ordinal + 1) | 0
    this.position++
    this.at = address + recordBytes
    return address
  }

  /** Where a record of that size fits now; a record never wraps around the end, and head never meets tail. */
  private find(recordBytes: number): number {
    const { memory } = this
    const inFlight = (this.ordinal - this.released) | 0
    if (inFlight === 0) return recordBytes <= memory.bodyBytes ? 0 : -1
    if (inFlight >= memory.capacity) return -1
    const tail = memory.entries[this.released & memory.mask] as number
    const { at } = this
    if (at > tail) {
      if (at + recordBytes <= memory.bodyBytes) return at
      return recordBytes < tail ? 0 : -1
    }
    return at + recordBytes < tail ? at : -1
  }
}

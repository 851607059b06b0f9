import { HEADER_BYTES } from './record.ts'

/**
 * The memory in which one component holds updates: equal chunks, each filled with records from its beginning.
 * A chunk is written by one sender at a time (the component itself, or the peer to whom it was granted) and is free again
 * when no update of an unsecured set is left in it.
 */
export interface ArenaLayout {
  readonly chunkShift: number
  readonly chunkBytes: number
  readonly chunks: number
  /** Chunks behind those, for copies that changes of view move, and for bytes that are fetched again. */
  readonly spareChunks: number
}

const SMALLEST_CHUNK_SHIFT = 12
const LARGEST_CHUNK_SHIFT = 20
const ADDRESSABLE_BYTES = 2 ** 31

/**
 * Chunks as large as leaves every lane into an arena several of them.
 * @param lanes  how many senders can have chunks here, the component itself included
 * @param spareBytes  at least so many beyond those: addresses, not memory, until they are used
 */
export function arenaLayout(memoryBytes: number, lanes: number, spareBytes = 0): ArenaLayout {
  let shift = LARGEST_CHUNK_SHIFT
  while (shift > SMALLEST_CHUNK_SHIFT && memoryBytes >>> shift < lanes * 8) shift--
  return arenaLayoutOf(memoryBytes, shift, spareBytes)
}

export function arenaLayoutOf(memoryBytes: number, chunkShift: number, spareBytes = 0): ArenaLayout {
  const chunkBytes = 2 ** chunkShift
  const chunks = Math.floor(memoryBytes / chunkBytes)
  // Survivors of several failures hold what all of them held; addresses have 31 bits.
  const wanted = Math.max(Math.ceil(chunks * 1.5) + 64, Math.ceil(spareBytes / chunkBytes))
  const spareChunks = Math.min(wanted, ADDRESSABLE_BYTES / chunkBytes - 1 - chunks)
  return { chunkShift, chunkBytes, chunks, spareChunks }
}

/** Data bytes of the largest update that goes as one record: a quarter of a chunk, so that little of it is left unused. */
export function largestRecordData(layout: ArenaLayout): number {
  return Math.min(65536, (layout.chunkBytes >>> 2) - HEADER_BYTES)
}

export class Arena {
  readonly buffer: SharedArrayBuffer
  readonly layout: ArenaLayout
  readonly ints: Int32Array<SharedArrayBuffer>
  readonly floats: Float64Array<SharedArrayBuffer>
  readonly longs: BigInt64Array<SharedArrayBuffer>
  /** A Buffer, since its `copy` is the fastest way to move many bytes between shared buffers. */
  readonly bytes: Buffer<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer, layout: ArenaLayout) {
    this.buffer = buffer
    this.layout = layout
    this.ints = new Int32Array(buffer)
    this.floats = new Float64Array(buffer)
    this.longs = new BigInt64Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  static allocate(layout: ArenaLayout): SharedArrayBuffer {
    return new SharedArrayBuffer(layout.chunkBytes * (layout.chunks + layout.spareChunks))
  }
}

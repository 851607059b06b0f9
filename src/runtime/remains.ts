import type { Arena } from '../memory/arena.ts'
import { CHUNK_FREE, type ChunkTable } from '../memory/chunk-table.ts'
import { HEADER_BYTES, RECORD_BYTES } from '../memory/record.ts'

/** Of data, a word in each KiB: what is read of it is wrong, and the others are not kept from mending for longer. */
const STRIDE_INTS = 256
const SPOILT = 0xdddddddd | 0

/** For tests: overwrites what a failed component held, every header and some of all data: nothing can be recovered from it. */
export function overwriteRemains(arena: Arena, chunks: ChunkTable): void {
  for (let chunk = 0; chunk < chunks.chunks; chunk++) {
    if (chunks.stateOf(chunk) === CHUNK_FREE) continue
    overwrite(arena.ints, chunk * arena.layout.chunkBytes, chunks.endOf(chunk))
  }
}

/** What a chunk was filled with: from its first byte to its end. */
function overwrite(ints: Int32Array, from: number, end: number): void {
  for (let address = from; address < end; ) {
    const length = ints[(address >>> 2) + RECORD_BYTES] as number
    // Whoever filled it may have died in the middle of a record.
    const next = length > 0 && address + length <= end ? address + length : end
    const data = Math.min(address + HEADER_BYTES, next) >>> 2
    for (let i = address >>> 2; i < data; i++) ints[i] = SPOILT
    for (let i = data; i < next >>> 2; i += STRIDE_INTS) ints[i] = SPOILT
    address = next
  }
}

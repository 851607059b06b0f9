import { Arena } from '../memory/arena.ts'
import { CHUNK_FREE, ChunkTable } from '../memory/chunk-table.ts'
import { HEADER_BYTES, RECORD_BYTES } from '../memory/record.ts'
import type { GroupMemory } from './group-memory.ts'

/** Of data, a word in each KiB: what is read of it is wrong, and the others are not kept from mending for longer. */
const STRIDE_INTS = 256
const SPOILT = 0xdddddddd | 0

/** For tests: what a failed component held, to be overwritten so that nothing can be recovered from it. */
export class Remains {
  private readonly arena: Arena
  /** (first byte, end) of what its chunks were filled with. */
  private readonly ranges: [from: number, end: number][] = []

  constructor(memory: GroupMemory, slot: number) {
    this.arena = new Arena(memory.arenas[slot] as SharedArrayBuffer, memory.arenaLayout)
    const chunks = new ChunkTable(memory.chunkTables[slot] as SharedArrayBuffer)
    for (let chunk = 0; chunk < chunks.chunks; chunk++) {
      const from = chunk * memory.arenaLayout.chunkBytes
      const end = chunks.endOf(chunk)
      if (chunks.stateOf(chunk) !== CHUNK_FREE && end > from) this.ranges.push([from, end])
    }
  }

  /** Overwrites every header, and some of all data. */
  spoil(): void {
    const { ints } = this.arena
    for (const [from, end] of this.ranges) {
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
  }
}

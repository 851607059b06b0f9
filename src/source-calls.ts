import type { Board } from './memory/board.ts'
import { RECORD_HOLDERS, RECORD_SEQUENCE, RECORD_SET } from './memory/record.ts'
import type { SourceMemory } from './memory/source-memory.ts'
import { expandSet } from './protocol/set-identifier.ts'
import type { Receipt } from './types.ts'

/** An update as it is asked for. `data` undefined: the range reads as zeros. */
export interface Part {
  readonly volume: number
  readonly offset: number
  readonly length: number
  readonly data: Uint8Array | undefined
}

/** A call that waits for room; those behind it wait too, so that calls take effect in their order. */
export interface Waiting {
  readonly parts: readonly Part[]
  readonly settle: Settle
}

/** A call whose last record is `last` (an ordinal): it is settled when that is acknowledged. */
export interface Pending {
  readonly last: number
  /** Per part the ordinal of its last record. */
  readonly lasts: readonly number[]
  readonly parts: readonly Part[]
  readonly settle: Settle
}

export interface Settle {
  resolve(receipts: Receipt[]): void
  reject(error: Error): void
}

/**
 * What a source is told of an acknowledged update, read from its own memory before the ring uses the place again.
 * @param ordinal  of the update's last record
 * @param near  a recent set, whole
 */
export function readReceipt(
  memory: SourceMemory,
  board: Board,
  ordinal: number,
  volume: string,
  near: number
): Receipt {
  const at = memory.entries[ordinal & memory.mask] as number
  const holders: number[] = []
  for (let slot = 0; slot < board.layout.slots; slot++) {
    const bits = memory.ints[(at >>> 2) + RECORD_HOLDERS + (slot >>> 5)] as number
    if ((bits & (1 << (slot & 31))) !== 0) holders.push(board.loadIdentity(slot))
  }
  return {
    volume,
    set: expandSet(memory.ints[(at >>> 2) + RECORD_SET] as number, near),
    sequence: memory.floats[(at >>> 3) + RECORD_SEQUENCE] as number,
    holders
  }
}

/** What the sources of a program that is killed write: known to it and to who checks what is left, by numbers alone. */
export const VOLUMES = [
  { name: 'a', size: 48 << 10 },
  { name: 'b', size: 40 << 10 }
]
/** The first in the thread that opened the group, the others in another one. */
export const SOURCES = ['main', 'thread-1', 'thread-2']
/** Each source has an area of its own in each volume. */
export const AREA_BYTES = 8 << 10
/** Steps that a source posts before it waits for all of them. */
export const BURST = 6

/** What one process of many does on the same directory. */
export interface KilledTask {
  readonly directory: string
  readonly seed: number
  readonly round: number
  /** By source: the last step that is in the volumes. */
  readonly done: readonly number[]
  /** It ends by itself, in an orderly way. */
  readonly isOrderly?: boolean
  /** By source: what was acknowledged is appended there, a line `step set` each. */
  readonly receipts: readonly string[]
}

export interface Piece {
  readonly volume: number
  readonly offset: number
  readonly length: number
  /** 0: zeros. */
  readonly fill: number
}

/** The n-th step of a source in this round: one write, zeros, or a transaction. */
export function stepOf(seed: number, round: number, source: number, n: number): Piece[] {
  let state =
    (Math.imul(seed ^ Math.imul(round + 1, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(n * 8 + source, 0xc2b2ae35)) | 0
  const next = (bound: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0
    return ((state ^ (state >>> 13)) >>> 0) % bound
  }
  const pieces = next(4) === 0 ? 2 + next(3) : 1
  return Array.from({ length: pieces }, () => {
    const length = 1 + next(next(8) === 0 ? 6000 : 600)
    const offset = source * AREA_BYTES + next(AREA_BYTES - length)
    const isZero = pieces === 1 && next(8) === 0
    return { volume: next(VOLUMES.length), offset, length, fill: isZero ? 0 : 1 + next(255) }
  })
}

export function applyStep(images: readonly Uint8Array[], pieces: readonly Piece[]): void {
  for (const { volume, offset, length, fill } of pieces) images[volume]?.fill(fill, offset, offset + length)
}

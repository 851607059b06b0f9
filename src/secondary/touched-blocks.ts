import { SUM_BLOCK_BYTES } from './block-sums.ts'
import type { FloatTable } from './float-table.ts'
import { type Fold, PIECE_LENGTH, PIECE_OFFSET, PIECE_VOLUME } from './fold.ts'

/** Blocks that are handed out at once: they are read in one piece, and fit the processor's cache. */
export const MOST_BLOCKS = 64

const NONE = -1

/**
 * The blocks that a folded part writes to, in the order of volumes and offsets, each once: data and zeros are walked side by
 * side. Needs no memory, however large the part is, or the ranges that become zeros.
 */
export class TouchedBlocks {
  // What `next` has come to.
  volume = 0
  first = 0
  count = 0
  /** All of them become zeros, whole: there may be any number. Else at most MOST_BLOCKS. */
  isZeroed = false
  /** Of each of them, unless they become zeros: how many of its bytes are written. */
  readonly covered = new Uint16Array(MOST_BLOCKS)

  private readonly sizes: readonly number[]
  private data: FloatTable | null = null
  private zeros: FloatTable | null = null
  private nextData = 0
  private nextZeros = 0
  // What is left of the piece in hand.
  private pieceVolume = NONE
  private from = 0
  private end = 0
  private ofZeros = false

  /** @param sizes  of the volumes, by number */
  constructor(sizes: readonly number[]) {
    this.sizes = sizes
  }

  begin({ data, zeros }: Fold): void {
    this.data = data
    this.zeros = zeros
    this.nextData = 0
    this.nextZeros = 0
    this.takePiece()
  }

  blockBytes(block: number): number {
    return Math.min(SUM_BLOCK_BYTES, (this.sizes[this.volume] as number) - block * SUM_BLOCK_BYTES)
  }

  /** False when there are no more. */
  next(): boolean {
    if (this.pieceVolume === NONE) return false
    this.volume = this.pieceVolume
    this.first = Math.floor(this.from / SUM_BLOCK_BYTES)
    this.count = this.wholeZeros()
    this.isZeroed = this.count > 0
    if (this.isZeroed) this.advance(Math.min(this.end, this.from + this.count * SUM_BLOCK_BYTES))
    else this.coverSome()
    return true
  }

  private coverSome(): void {
    const limit = (this.first + MOST_BLOCKS) * SUM_BLOCK_BYTES
    this.covered.fill(0)
    while (this.pieceVolume === this.volume && this.from < limit && this.wholeZeros() === 0) {
      const block = Math.floor(this.from / SUM_BLOCK_BYTES)
      if (block > this.first + this.count) return
      const nextBlock = (block + 1) * SUM_BLOCK_BYTES
      const to = Math.min(this.end, nextBlock)
      this.covered[block - this.first] = (this.covered[block - this.first] as number) + to - this.from
      this.count = block + 1 - this.first
      this.advance(to)
    }
  }

  /** How many whole blocks the piece in hand turns to zeros from here on. */
  private wholeZeros(): number {
    if (!this.ofZeros || this.from % SUM_BLOCK_BYTES !== 0) return 0
    const blocks = (this.end - this.from) / SUM_BLOCK_BYTES
    return this.end === this.sizes[this.pieceVolume] ? Math.ceil(blocks) : Math.floor(blocks)
  }

  private advance(to: number): void {
    this.from = to
    if (to === this.end) this.takePiece()
  }

  private takePiece(): void {
    const data = this.data as FloatTable
    const zeros = this.zeros as FloatTable
    const hasData = this.nextData < data.length
    const hasZeros = this.nextZeros < zeros.length
    this.pieceVolume = NONE
    if (!hasData && !hasZeros) return
    this.ofZeros = !hasData || (hasZeros && isBefore(zeros, this.nextZeros, data, this.nextData))
    const [pieces, row] = this.ofZeros ? [zeros, this.nextZeros++] : [data, this.nextData++]
    this.pieceVolume = pieces.get(row, PIECE_VOLUME)
    this.from = pieces.get(row, PIECE_OFFSET)
    this.end = this.from + pieces.get(row, PIECE_LENGTH)
  }
}

function isBefore(a: FloatTable, rowA: number, b: FloatTable, rowB: number): boolean {
  const volumes = a.get(rowA, PIECE_VOLUME) - b.get(rowB, PIECE_VOLUME)
  return volumes < 0 || (volumes === 0 && a.get(rowA, PIECE_OFFSET) < b.get(rowB, PIECE_OFFSET))
}

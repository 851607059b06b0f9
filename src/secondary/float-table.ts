/**
 * Rows of a few numbers, by the million: kept in blocks, so that growing moves nothing and a row costs no object.
 */
const BLOCK_SHIFT = 13
const BLOCK_ROWS = 1 << BLOCK_SHIFT
const BLOCK_MASK = BLOCK_ROWS - 1
/** Blocks kept by `clear`: the memory of one huge set is given back. */
const KEPT_BLOCKS = 32

export class FloatTable {
  readonly columns: number
  length = 0
  private readonly blocks: Float64Array[] = []

  constructor(columns: number) {
    this.columns = columns
  }

  /** A new row at the end; its numbers are whatever was there. */
  add(): number {
    const row = this.length++
    if (row >>> BLOCK_SHIFT === this.blocks.length) this.blocks.push(new Float64Array(BLOCK_ROWS * this.columns))
    return row
  }

  get(row: number, column: number): number {
    return (this.blocks[row >>> BLOCK_SHIFT] as Float64Array)[(row & BLOCK_MASK) * this.columns + column] as number
  }

  set(row: number, column: number, value: number): void {
    ;(this.blocks[row >>> BLOCK_SHIFT] as Float64Array)[(row & BLOCK_MASK) * this.columns + column] = value
  }

  clear(): void {
    this.length = 0
    if (this.blocks.length > KEPT_BLOCKS) this.blocks.length = KEPT_BLOCKS
  }
}

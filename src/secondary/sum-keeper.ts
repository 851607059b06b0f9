import { type BlockSums, SUM_BLOCK_BYTES, sumOf } from './block-sums.ts'
import { FloatTable } from './float-table.ts'
import type { Fold } from './fold.ts'
import type { Images, StoreVolume } from './images.ts'
import { MOST_BLOCKS, TouchedBlocks } from './touched-blocks.ts'

/** A slice: a thread that applies must still hear of the next set. */
const SLICE_MS = 2

/** Columns of what was found to be wrong. */
const WRONG_VOLUME = 0
const WRONG_BLOCK = 1
const WRONG_BY = 2

/**
 * Keeps the checksums of blocks in step with the images while a part is applied to them.
 *
 * *Before* anything is written, blocks that will be written in part only are compared with their sums. *Afterwards* every
 * block that was written to is read back and summed. A block that was wrong before stays wrong by as much: the sum of what it
 * is now, xor what it was wrong by. So damage beside the bytes that were written is not taken for what ought to be there, while
 * a block that is written whole is right again.
 *
 * After a crash the part is applied again from its start. It touches the same blocks, and each of them is summed again from
 * what it holds then: whatever images and sums held in between is repaired. Such a block may be neither what it was nor what
 * it is to be, so nothing is compared before: damage beside the bytes that a redone set writes in its blocks is not found.
 */
export class SumKeeper {
  private readonly images: Images
  private readonly sums: BlockSums
  private readonly touched: TouchedBlocks
  private readonly wrong = new FloatTable(3)
  private readonly buffer = Buffer.alloc(MOST_BLOCKS * SUM_BLOCK_BYTES)
  private fold: Fold | null = null
  private compares = false
  private pending = false
  /** Of the blocks that become zeros. */
  private cleared = 0
  /** How many of them are of steps that are done; in the second walk: were asked for in those. */
  private noted = 0
  private asked = 0

  /** @param sizes  of the volumes, by number */
  constructor(images: Images, sums: BlockSums, sizes: readonly number[]) {
    this.images = images
    this.sums = sums
    this.touched = new TouchedBlocks(sizes)
  }

  /** Null where there are no checksums to keep. */
  static of(images: Images, sums: BlockSums | null, volumes: readonly StoreVolume[]): SumKeeper | null {
    const sizes = volumes.map((volume) => volume.size)
    return sums && new SumKeeper(images, sums, sizes)
  }

  /** @param isRedone  the images may hold some of it already */
  begin(fold: Fold, isRedone: boolean): void {
    this.fold = fold
    this.compares = !isRedone
    this.wrong.clear()
    this.noted = 0
    this.rewind()
  }

  /** Before the images are written to. True when all is compared. */
  compareSome(): boolean {
    if (!this.compares) return true
    if (!this.walk(() => this.compare())) return false
    this.rewind()
    return true
  }

  /** When they have been. True when all is summed. */
  sumSome(): boolean {
    return this.walk(() => this.sum())
  }

  /** On the disk when it returns. */
  sync(): void {
    this.sums.sync()
  }

  private rewind(): void {
    this.touched.begin(this.fold as Fold)
    this.pending = false
    this.asked = 0
  }

  /** A step that failed is tried again: the walk goes on only when it is done. */
  private walk(step: () => boolean): boolean {
    const until = performance.now() + SLICE_MS
    do {
      if (!this.pending) {
        if (!this.touched.next()) return true
        this.pending = true
        this.cleared = 0
      }
      if (step()) this.pending = false
    } while (performance.now() < until)
    return false
  }

  private compare(): boolean {
    const { touched, sums } = this
    if (touched.isZeroed || !this.isAnyInPart()) return true
    this.read()
    this.wrong.length = this.noted
    for (let n = 0; n < touched.count; n++) {
      const block = touched.first + n
      const length = touched.blockBytes(block)
      if (touched.covered[n] === length) continue
      const by = sums.get(touched.volume, block) ^ sumOf(this.buffer, n * SUM_BLOCK_BYTES, length)
      if (by !== 0) this.note(touched.volume, block, by)
    }
    this.noted = this.wrong.length
    return true
  }

  private sum(): boolean {
    const { touched, sums } = this
    const { volume, first, count } = touched
    if (touched.isZeroed) {
      this.cleared += sums.clear(volume, first + this.cleared, count - this.cleared)
      return this.cleared === count
    }
    this.read()
    let { asked } = this
    for (let n = 0; n < count; n++) {
      const sum = sumOf(this.buffer, n * SUM_BLOCK_BYTES, touched.blockBytes(first + n))
      const isWrong = this.isNoted(asked, volume, first + n)
      sums.set(volume, first + n, isWrong ? (sum ^ this.wrong.get(asked++, WRONG_BY)) >>> 0 : sum)
    }
    this.asked = asked
    return true
  }

  private isAnyInPart(): boolean {
    const { touched } = this
    for (let n = 0; n < touched.count; n++) {
      if (touched.covered[n] !== touched.blockBytes(touched.first + n)) return true
    }
    return false
  }

  private read(): void {
    const { volume, first, count } = this.touched
    const length = (count - 1) * SUM_BLOCK_BYTES + this.touched.blockBytes(first + count - 1)
    this.images.read(volume, first * SUM_BLOCK_BYTES, this.buffer, length)
  }

  private note(volume: number, block: number, by: number): void {
    const row = this.wrong.add()
    this.wrong.set(row, WRONG_VOLUME, volume)
    this.wrong.set(row, WRONG_BLOCK, block)
    this.wrong.set(row, WRONG_BY, by)
  }

  /** They were noted in the order in which they are asked for. */
  private isNoted(row: number, volume: number, block: number): boolean {
    const { wrong } = this
    return row < wrong.length && wrong.get(row, WRONG_VOLUME) === volume && wrong.get(row, WRONG_BLOCK) === block
  }
}

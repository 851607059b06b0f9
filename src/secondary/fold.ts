import { FRAME_LENGTH, FRAME_OFFSET, FRAME_POSITION, FRAME_SEQUENCE, FRAME_VOLUME } from './block.ts'
import { FloatTable } from './float-table.ts'
import { orderByKey } from './sort-offsets.ts'

/** Columns of the pieces that are left. */
export const PIECE_VOLUME = 0
export const PIECE_OFFSET = 1
export const PIECE_LENGTH = 2
/** Of its bytes in the segment; pieces of zeros have none. */
export const PIECE_POSITION = 3

/**
 * Folding: of each range only the newest bytes of the set are left, as pieces that do not overlap, in the order of volumes
 * and offsets. Never across sets (SYSTEM.md 6, "Secondary").
 *
 * A sweep over each volume's updates in the order of their offsets. At the cursor the newest of the updates that reach
 * beyond it shows, up to its end or to where a newer one begins.
 */
export class Fold {
  readonly data = new FloatTable(4)
  readonly zeros = new FloatTable(3)
  bytes = 0

  private frames = new FloatTable(5)
  /** Rows of the frames, those of each volume together; where each volume's begin. */
  private rows = new Uint32Array(0)
  private starts = new Uint32Array(1)
  private volume = -1

  // The volume in hand, its updates by offset.
  private count = 0
  private start = new Float64Array(0)
  private end = new Float64Array(0)
  private sequence = new Float64Array(0)
  private row = new Uint32Array(0)
  private next = 0
  private cursor = 0
  /** Updates that began and may yet show, the newest on top. */
  private heap = new Uint32Array(0)
  private heapLength = 0

  begin(frames: FloatTable, volumes: number): void {
    this.frames = frames
    this.data.clear()
    this.zeros.clear()
    this.bytes = 0
    this.volume = -1
    this.count = 0
    this.next = 0
    this.heapLength = 0
    this.groupByVolume(volumes)
  }

  /** Goes on for about `budget` updates, or to the end of a volume. True when all is folded. */
  resolve(budget: number): boolean {
    while (this.next === this.count && this.heapLength === 0) {
      this.volume++
      if (this.volume >= this.starts.length - 1) return true
      this.load()
    }
    this.sweep(budget)
    return false
  }

  private groupByVolume(volumes: number): void {
    const { frames } = this
    const starts = new Uint32Array(volumes + 1)
    for (let row = 0; row < frames.length; row++) {
      const after = frames.get(row, FRAME_VOLUME) + 1
      starts[after] = (starts[after] as number) + 1
    }
    for (let n = 0; n < volumes; n++) starts[n + 1] = (starts[n + 1] as number) + (starts[n] as number)
    const place = starts.slice()
    this.rows = new Uint32Array(frames.length)
    for (let row = 0; row < frames.length; row++) {
      const volume = frames.get(row, FRAME_VOLUME)
      const at = place[volume] as number
      place[volume] = at + 1
      this.rows[at] = row
    }
    this.starts = starts
  }

  private load(): void {
    const { frames, rows } = this
    const from = this.starts[this.volume] as number
    const count = (this.starts[this.volume + 1] as number) - from
    const offsets = new Float64Array(count)
    for (let n = 0; n < count; n++) offsets[n] = frames.get(rows[from + n] as number, FRAME_OFFSET)
    const order = orderByKey(offsets, count)
    this.start = new Float64Array(count)
    this.end = new Float64Array(count)
    this.sequence = new Float64Array(count)
    this.row = new Uint32Array(count)
    this.heap = new Uint32Array(count)
    for (let n = 0; n < count; n++) {
      const row = rows[from + (order[n] as number)] as number
      const offset = frames.get(row, FRAME_OFFSET)
      this.start[n] = offset
      this.end[n] = offset + frames.get(row, FRAME_LENGTH)
      this.sequence[n] = frames.get(row, FRAME_SEQUENCE)
      this.row[n] = row
    }
    this.count = count
    this.next = 0
    this.cursor = 0
    this.heapLength = 0
  }

  private sweep(budget: number): void {
    const { start, end, count } = this
    const until = Math.min(count, this.next + budget)
    while (this.next < until || (until === count && this.heapLength > 0)) {
      if (this.heapLength === 0) this.cursor = start[this.next] as number
      while (this.next < count && (start[this.next] as number) <= this.cursor) this.push(this.next++)
      const top = this.heap[0] as number
      if ((end[top] as number) <= this.cursor) {
        this.pop()
        continue
      }
      let stop = end[top] as number
      while (this.next < count && (start[this.next] as number) < stop) {
        if (this.isNewer(this.next, top)) {
          stop = start[this.next] as number
          break
        }
        // Hidden for good if it does not reach beyond the one that shows.
        if ((end[this.next] as number) > (end[top] as number)) this.push(this.next)
        this.next++
      }
      this.emit(this.row[top] as number, this.cursor, stop)
      this.cursor = stop
    }
  }

  private emit(row: number, from: number, to: number): void {
    const length = to - from
    this.bytes += length
    const position = this.frames.get(row, FRAME_POSITION)
    if (position < 0) {
      this.emitZeros(from, length)
      return
    }
    const piece = this.data.add()
    this.data.set(piece, PIECE_VOLUME, this.volume)
    this.data.set(piece, PIECE_OFFSET, from)
    this.data.set(piece, PIECE_LENGTH, length)
    this.data.set(piece, PIECE_POSITION, position + from - this.frames.get(row, FRAME_OFFSET))
  }

  private emitZeros(from: number, length: number): void {
    const { zeros } = this
    const last = zeros.length - 1
    if (last >= 0 && zeros.get(last, PIECE_VOLUME) === this.volume) {
      const before = zeros.get(last, PIECE_LENGTH)
      if (zeros.get(last, PIECE_OFFSET) + before === from) {
        zeros.set(last, PIECE_LENGTH, before + length)
        return
      }
    }
    const piece = zeros.add()
    zeros.set(piece, PIECE_VOLUME, this.volume)
    zeros.set(piece, PIECE_OFFSET, from)
    zeros.set(piece, PIECE_LENGTH, length)
  }

  private isNewer(a: number, b: number): boolean {
    const difference = (this.sequence[a] as number) - (this.sequence[b] as number)
    return difference > 0 || (difference === 0 && (this.row[a] as number) > (this.row[b] as number))
  }

  private push(entry: number): void {
    const { heap } = this
    let at = this.heapLength++
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!this.isNewer(entry, heap[parent] as number)) break
      heap[at] = heap[parent] as number
      at = parent
    }
    heap[at] = entry
  }

  private pop(): void {
    const { heap } = this
    const last = heap[--this.heapLength] as number
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= this.heapLength) break
      if (child + 1 < this.heapLength && this.isNewer(heap[child + 1] as number, heap[child] as number)) child++
      if (!this.isNewer(heap[child] as number, last)) break
      heap[at] = heap[child] as number
      at = child
    }
    if (this.heapLength > 0) heap[at] = last
  }
}

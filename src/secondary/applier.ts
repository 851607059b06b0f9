import { TidemarkError } from '../errors.ts'
import { ioError, readFully } from './files.ts'
import type { FloatTable } from './float-table.ts'
import { Fold, PIECE_LENGTH, PIECE_OFFSET, PIECE_POSITION, PIECE_VOLUME } from './fold.ts'
import type { Images } from './images.ts'
import type { SumKeeper } from './sum-keeper.ts'

/** The segment is read in pieces of this size. */
const WINDOW_SHIFT = 20
const WINDOW_BYTES = 1 << WINDOW_SHIFT
/** Where no more than this part of a window is needed, as most of it was overwritten, its pieces are read one by one. */
const SPARSE = 1 / 4
/** Bytes that lie together in the volume but apart in the journal are written together, up to this many. */
const GATHER_BYTES = 1 << 18
/** One slice of work: a thread that applies must still hear of the next set. */
const SLICE_BYTES = 4 << 20
const SLICE_MS = 2
const SLICE_FRAMES = 1 << 16
/** Writes between two looks at the clock. */
const CLOCK_EVERY = 16

const FOLDING = 0
const COMPARING = 1
const DATA = 2
const ZEROS = 3
const SUMMING = 4
const SYNCING = 5
const DONE = 6

/**
 * Brings one part of a set into the images, a slice at a time. The journal is read once, from its beginning to its end;
 * within a window of it pieces are written in the order of their offsets. A slice that failed can be tried again.
 */
export class Applier {
  /** Bytes that the last part brought into the images. */
  writtenBytes = 0
  private readonly images: Images
  private readonly volumes: number
  private readonly keeper: SumKeeper | null
  private readonly ownFold = new Fold()
  private fold = this.ownFold
  private phase = DONE
  private isRedone = false
  private fd = -1
  private path = ''
  /** Data pieces, those of each window together, and where each window's begin. */
  private order = new Uint32Array(0)
  private windows = new Uint32Array(1)
  private window = -1
  private next = 0
  private buffer = Buffer.alloc(WINDOW_BYTES + 65536)
  private bufferFrom = 0
  private readonly gather = Buffer.alloc(GATHER_BYTES)
  private zerosDone = 0

  /** @param keeper  of the checksums; null: they are not kept */
  constructor(images: Images, volumes: number, keeper: SumKeeper | null) {
    this.images = images
    this.volumes = volumes
    this.keeper = keeper
  }

  /** @param isRedone  some of it may be in the images already: a crash came between */
  begin(frames: FloatTable, fd: number, path: string, isRedone: boolean): void {
    this.ownFold.begin(frames, this.volumes)
    this.beginFolded(this.ownFold, fd, path, isRedone)
  }

  /** One that is folded already, as its undo was saved. */
  beginFolded(fold: Fold, fd: number, path: string, isRedone: boolean): void {
    this.isRedone = isRedone
    this.fd = fd
    this.path = path
    this.fold = fold
    this.phase = FOLDING
    this.writtenBytes = 0
  }

  /** True when all of it is durable in the images. */
  applySome(): boolean {
    switch (this.phase) {
      case FOLDING:
        if (this.fold.resolve(SLICE_FRAMES)) this.enterComparing()
        return false
      case COMPARING:
        if (this.keeper?.compareSome() !== false) this.enterData()
        return false
      case DATA:
        if (this.writeSome()) this.enterZeros()
        return false
      case ZEROS:
        if (this.zeroSome()) this.phase = SUMMING
        return false
      case SUMMING:
        if (this.keeper?.sumSome() !== false) this.phase = SYNCING
        return false
      case SYNCING:
        if (this.images.syncNext()) return false
        this.keeper?.sync()
        this.writtenBytes = this.fold.bytes
        this.phase = DONE
        return true
      default:
        return true
    }
  }

  private enterComparing(): void {
    this.keeper?.begin(this.fold, this.isRedone)
    this.phase = COMPARING
  }

  /** Distributes the pieces over the windows of the segment; within one they stay in the order of their offsets. */
  private enterData(): void {
    const { data } = this.fold
    let last = -1
    for (let n = 0; n < data.length; n++) last = Math.max(last, windowOf(data, n))
    const starts = new Uint32Array(last + 2)
    for (let n = 0; n < data.length; n++) {
      const after = windowOf(data, n) + 1
      starts[after] = (starts[after] as number) + 1
    }
    for (let w = 0; w <= last; w++) starts[w + 1] = (starts[w + 1] as number) + (starts[w] as number)
    const place = starts.slice()
    this.order = new Uint32Array(data.length)
    for (let n = 0; n < data.length; n++) {
      const window = windowOf(data, n)
      const at = place[window] as number
      place[window] = at + 1
      this.order[at] = n
    }
    this.windows = starts
    this.window = -1
    this.next = 0
    this.phase = DATA
  }

  private writeSome(): boolean {
    const until = performance.now() + SLICE_MS
    let bytes = 0
    let writes = 0
    while (bytes < SLICE_BYTES) {
      if (this.next === this.order.length) return true
      if (this.window < 0 || this.next === this.windows[this.window + 1]) bytes += this.readWindow()
      bytes += this.writeRun()
      if (++writes % CLOCK_EVERY === 0 && performance.now() > until) return false
    }
    return false
  }

  private readWindow(): number {
    const { data } = this.fold
    const window = windowOf(data, this.order[this.next] as number)
    const end = this.windows[window + 1] as number
    let from = Number.POSITIVE_INFINITY
    let to = 0
    let needed = 0
    for (let n = this.next; n < end; n++) {
      const piece = this.order[n] as number
      const position = data.get(piece, PIECE_POSITION)
      const length = data.get(piece, PIECE_LENGTH)
      from = Math.min(from, position)
      to = Math.max(to, position + length)
      needed += length
    }
    const length = to - from
    if (length > this.buffer.length) this.buffer = Buffer.alloc(length)
    this.bufferFrom = from
    if (needed > length * SPARSE) {
      this.read(from, length)
      needed = length
    } else {
      for (let n = this.next; n < end; n++) {
        const piece = this.order[n] as number
        this.read(data.get(piece, PIECE_POSITION), data.get(piece, PIECE_LENGTH))
      }
    }
    // Not before: a slice that failed is tried again.
    this.window = window
    return needed
  }

  /** To its place in the buffer. */
  private read(position: number, length: number): void {
    let got = 0
    try {
      got = readFully(this.fd, this.buffer, position - this.bufferFrom, length, position)
    } catch (cause) {
      throw ioError('read', this.path, cause)
    }
    if (got === length) return
    const message = `${this.path} ends at ${position + got}, before the data of a set that is in it`
    throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: this.path, position: position + got })
  }

  /** Writes the next piece, and with it those that follow in its volume at once. */
  private writeRun(): number {
    const { data } = this.fold
    const end = this.windows[this.window + 1] as number
    const first = this.order[this.next] as number
    const volume = data.get(first, PIECE_VOLUME)
    const offset = data.get(first, PIECE_OFFSET)
    const at = data.get(first, PIECE_POSITION) - this.bufferFrom
    let length = data.get(first, PIECE_LENGTH)
    let next = this.next + 1
    // As long as they follow each other in the journal, too, they are written from where they were read to.
    let gathered = false
    for (; next < end; next++) {
      const piece = this.order[next] as number
      if (data.get(piece, PIECE_VOLUME) !== volume || data.get(piece, PIECE_OFFSET) !== offset + length) break
      const more = data.get(piece, PIECE_LENGTH)
      const from = data.get(piece, PIECE_POSITION) - this.bufferFrom
      if (!gathered && from !== at + length) {
        if (length + more > GATHER_BYTES) break
        this.buffer.copy(this.gather, 0, at, at + length)
        gathered = true
      }
      if (gathered) {
        if (length + more > GATHER_BYTES) break
        this.buffer.copy(this.gather, length, from, from + more)
      }
      length += more
    }
    if (gathered) this.images.write(volume, offset, this.gather, 0, length)
    else this.images.write(volume, offset, this.buffer, at, length)
    this.next = next
    return length
  }

  private enterZeros(): void {
    this.next = 0
    this.zerosDone = 0
    this.phase = ZEROS
  }

  private zeroSome(): boolean {
    const { zeros } = this.fold
    const until = performance.now() + SLICE_MS
    while (this.next < zeros.length) {
      const offset = zeros.get(this.next, PIECE_OFFSET) + this.zerosDone
      const left = zeros.get(this.next, PIECE_LENGTH) - this.zerosDone
      const done = this.images.zero(zeros.get(this.next, PIECE_VOLUME), offset, left)
      this.zerosDone += done
      if (done === left) {
        this.next++
        this.zerosDone = 0
      }
      if (performance.now() > until) return this.next === zeros.length
    }
    return true
  }
}

function windowOf(data: FloatTable, piece: number): number {
  return Math.floor(data.get(piece, PIECE_POSITION) / WINDOW_BYTES)
}

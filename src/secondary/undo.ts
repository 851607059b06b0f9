import fs from 'node:fs'
import path from 'node:path'
import { UNDO_MAGIC } from './block.ts'
import { BlockWriter } from './block-writer.ts'
import { errnoOf, ioError, syncDirectory } from './files.ts'
import type { FloatTable } from './float-table.ts'
import { type Fold, PIECE_LENGTH, PIECE_OFFSET, PIECE_VOLUME } from './fold.ts'
import type { Images } from './images.ts'
import { isZeros } from './zeros.ts'

/** What was read and is not written yet lies in a buffer of this size. */
const BUFFER_BYTES = 1 << 20
/** With less room left in it, it is written first. */
const LEAST_ROOM_BYTES = 1 << 16
/** Pieces that are no farther apart are read by one call. */
const GAP_BYTES = 4096
/** Ranges are looked at for zeros in blocks of this size, as the image has them. */
const ZERO_BLOCK_BYTES = 4096
const SLICE_MS = 2
/** Runs between two looks at the clock. */
const CLOCK_EVERY = 16

/** Until a part is whole and synced. */
const UNFINISHED = '.new'

/** The bytes that a component's part of a set, or of sets that are applied as one, will overwrite. */
export function undoPath(directory: string, component: number, set: number): string {
  return path.join(directory, `${component}-${set}.undo`)
}

export interface UndoName {
  readonly path: string
  readonly component: number
  readonly set: number
}

/** All undo parts that are whole. */
export function listUndo(directory: string): UndoName[] {
  return namesIn(directory).flatMap((name) => {
    const match = /^(\d+)-(\d+)\.undo$/.exec(name)
    if (match === null) return []
    return [{ path: path.join(directory, name), component: Number(match[1]), set: Number(match[2]) }]
  })
}

/** What a crash left of undo that was being saved: the images are as it found them. */
export function listUnfinished(directory: string): string[] {
  return namesIn(directory).flatMap((name) => (name.endsWith(UNFINISHED) ? [path.join(directory, name)] : []))
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory)
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return []
    throw ioError('list', directory, cause)
  }
}

export interface UndoOptions {
  /** DIR/tidemark/history. */
  readonly directory: string
  readonly component: number
  /** By volume: its number in undo parts, which stays when volumes change their order (format.ts). */
  readonly numbers: readonly number[]
}

/**
 * Saves, before a set touches the images, what it will overwrite there (docs/history.md). A part has its name when it is whole
 * and synced, and not before: that name decides whether the set may touch the images, and whether undo may still be written.
 */
export class UndoWriter {
  private readonly options: UndoOptions
  private readonly images: Images
  private readonly writer: BlockWriter
  private readonly buffer = Buffer.alloc(BUFFER_BYTES)
  private used = 0
  private set = 0
  private fd = -1

  // The pieces in hand: those of data, then those of zeros.
  private fold: Fold | null = null
  private isInZeros = false
  private next = 0
  /** Bytes of the next piece that are saved. */
  private done = 0

  constructor(options: UndoOptions, images: Images) {
    this.options = options
    this.images = images
    this.writer = new BlockWriter(UNDO_MAGIC, options.component)
  }

  /** Then it must never be written again: the images may hold some of the set. */
  isWhole(set: number): boolean {
    return fs.existsSync(this.pathOf(set))
  }

  /** A predecessor, dead or killed, may have named a part without having made the name durable. */
  syncNames(): void {
    const { directory } = this.options
    try {
      syncDirectory(directory)
    } catch (cause) {
      throw ioError('sync', directory, cause)
    }
  }

  /** An attempt that failed, or that a predecessor did not finish, begins again. */
  begin(set: number): void {
    this.close()
    this.set = set
    this.used = 0
    const file = this.unfinishedPath()
    try {
      this.fd = fs.openSync(file, 'w')
    } catch (cause) {
      throw ioError('make', file, cause)
    }
    this.writer.begin(set, { path: file, fd: this.fd, position: 0 }, null)
  }

  /** The set will overwrite these pieces, too. */
  save(fold: Fold): void {
    this.fold = fold
    this.isInZeros = false
    this.next = 0
    this.done = 0
  }

  /** A slice of it. True when all of the fold is saved. */
  saveSome(): boolean {
    const until = performance.now() + SLICE_MS
    for (let runs = 1; ; runs++) {
      const pieces = this.pieces()
      if (pieces === null) return true
      this.saveRun(pieces)
      if (runs % CLOCK_EVERY === 0 && performance.now() > until) return false
    }
  }

  /** The part is whole, on the disk, and has its name when it returns: now the set may touch the images. */
  end(): void {
    const file = this.unfinishedPath()
    this.writer.end()
    try {
      // Before it is renamed: the name says that all of it is on the disk.
      fs.fdatasyncSync(this.fd)
    } catch (cause) {
      throw ioError('sync', file, cause)
    }
    try {
      this.close()
      fs.renameSync(file, this.pathOf(this.set))
      // Before an image is touched: after a power loss the part must be found.
      syncDirectory(this.options.directory)
    } catch (cause) {
      throw ioError('finish', file, cause)
    }
  }

  close(): void {
    if (this.fd < 0) return
    const { fd } = this
    this.fd = -1
    fs.closeSync(fd)
  }

  /** The table in which there are pieces left. */
  private pieces(): FloatTable | null {
    const { fold } = this
    if (fold === null) return null
    if (!this.isInZeros && this.next === fold.data.length) {
      this.isInZeros = true
      this.next = 0
    }
    const pieces = this.isInZeros ? fold.zeros : fold.data
    return this.next < pieces.length ? pieces : null
  }

  /** Reads the next piece, with those that follow it closely, by one call; then saves each. */
  private saveRun(pieces: FloatTable): void {
    const room = this.makeRoom()
    const volume = pieces.get(this.next, PIECE_VOLUME)
    const from = pieces.get(this.next, PIECE_OFFSET) + this.done
    const firstEnd = endOf(pieces, this.next)
    const isCut = firstEnd - from > room
    const after = isCut ? this.next : runEnd(pieces, this.next, from + room)
    const to = isCut ? from + room : endOf(pieces, after - 1)
    this.images.read(volume, from, this.buffer.subarray(this.used), to - from)
    const bufferAt = this.used - from
    this.used += to - from
    if (isCut) {
      this.saveRange(volume, from, to, bufferAt)
      this.done += to - from
      return
    }
    let begin = from
    for (let n = this.next; n < after; n++) {
      const end = endOf(pieces, n)
      const isLast = n + 1 === after
      if (!isLast && pieces.get(n + 1, PIECE_OFFSET) === end) continue
      this.saveRange(volume, begin, end, bufferAt)
      if (!isLast) begin = pieces.get(n + 1, PIECE_OFFSET)
    }
    this.next = after
    this.done = 0
  }

  private makeRoom(): number {
    if (BUFFER_BYTES - this.used < LEAST_ROOM_BYTES) {
      // Blocks refer to the buffer until they are written.
      this.writer.flush()
      this.used = 0
    }
    return BUFFER_BYTES - this.used
  }

  /** What reads as zeros costs no bytes: undo of a first load is small. @param bufferAt  where the volume's byte 0 would be */
  private saveRange(volume: number, from: number, to: number, bufferAt: number): void {
    const number = this.options.numbers[volume] as number
    for (let at = from; at < to; ) {
      let end = blockEnd(at, to)
      const zero = isZeros(this.buffer, bufferAt + at, bufferAt + end)
      for (
        let next = end;
        next < to && isZeros(this.buffer, bufferAt + next, bufferAt + blockEnd(next, to)) === zero;
        next = end
      ) {
        end = blockEnd(next, to)
      }
      this.writer.add(number, at, end - at, 0, zero ? null : this.buffer, bufferAt + at)
      at = end
    }
  }

  private pathOf(set: number): string {
    return undoPath(this.options.directory, this.options.component, set)
  }

  private unfinishedPath(): string {
    return path.join(this.options.directory, `${this.options.component}-${this.set}${UNFINISHED}`)
  }
}

function endOf(pieces: FloatTable, n: number): number {
  return pieces.get(n, PIECE_OFFSET) + pieces.get(n, PIECE_LENGTH)
}

/** Behind the last of the pieces that are read together with the first one. */
function runEnd(pieces: FloatTable, first: number, limit: number): number {
  const volume = pieces.get(first, PIECE_VOLUME)
  let n = first + 1
  for (; n < pieces.length && pieces.get(n, PIECE_VOLUME) === volume; n++) {
    if (pieces.get(n, PIECE_OFFSET) - endOf(pieces, n - 1) > GAP_BYTES || endOf(pieces, n) > limit) break
  }
  return n
}

function blockEnd(at: number, to: number): number {
  return Math.min(to, (Math.floor(at / ZERO_BLOCK_BYTES) + 1) * ZERO_BLOCK_BYTES)
}

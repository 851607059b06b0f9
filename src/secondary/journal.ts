import fs from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { TidemarkError } from '../errors.ts'
import type { Arena } from '../memory/arena.ts'
import {
  FLAG_ZERO,
  HEADER_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME
} from '../memory/record.ts'
import {
  BLOCK_CHECKED_FROM,
  BLOCK_COMPONENT,
  BLOCK_CRC,
  BLOCK_DATA,
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
  BLOCK_MAGIC,
  BLOCK_MOST_DATA,
  BLOCK_MOST_UPDATES,
  BLOCK_ORDINAL,
  BLOCK_SET,
  BLOCK_UPDATES,
  ENTRY_ZERO,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_POSITION,
  FRAME_SEQUENCE,
  FRAME_VOLUME,
  frameTable,
  KIND_BEGIN,
  KIND_END,
  KIND_UPDATES,
  type Part
} from './block.ts'
import { ioError, syncDirectory, writeAllFully } from './files.ts'
import type { FloatTable } from './float-table.ts'
import type { LeftSegment } from './left-segments.ts'

/** Data up to this long is copied into the block's buffer; longer data is written from where it lies. */
const COPIED_BYTES = 2048
/** The system takes at most 1024 pieces in one call. */
const MOST_VIEWS = 1000
/** A new segment is begun after it: the old one can be removed when its sets are applied. */
const SEGMENT_BYTES = 64 << 20
const SPARE_TABLES = 2

interface Segment {
  readonly path: string
  readonly fd: number
  length: number
  lastSet: number
}

export interface JournalOptions {
  /** DIR/tidemark/journal. */
  readonly directory: string
  readonly component: number
  /** By volume: its size, or -1 for one that this component does not keep. */
  readonly sizes: Float64Array
  readonly segmentBytes?: number
}

/**
 * One secondary component's journal: what was received, in segment files, each holding its part of one or more sets. A part
 * is durable when `sync` has returned (R12; [0037]).
 */
export class Journal {
  private readonly options: JournalOptions
  private readonly segments: Segment[] = []
  private readonly spare: FloatTable[] = []
  /** A failed sync: nothing more is journaled. */
  private broken: unknown = null
  /** A failed write: the part cannot go on, it can only begin again. For want of room it can: the block is written again. */
  private interrupted: unknown = null

  // The part that is being received.
  private set = 0
  private setLow = 0
  private start = 0
  private frames: FloatTable | null = null
  private data = 0
  private ordinal = 0

  // The block that is being filled: header and entries, copied data, and the pieces that will be written.
  private readonly head = Buffer.alloc(BLOCK_HEADER_BYTES + BLOCK_MOST_UPDATES * BLOCK_ENTRY_BYTES)
  private readonly headWords = new Uint32Array(this.head.buffer, this.head.byteOffset, this.head.length / 4)
  private readonly headFloats = new Float64Array(this.head.buffer, this.head.byteOffset, this.head.length / 8)
  private readonly copied = Buffer.alloc(BLOCK_MOST_DATA)
  private copiedLength = 0
  /** From here on the copied data is not yet among the pieces. */
  private pieceFrom = 0
  private views: Uint8Array[] = []
  private blockUpdates = 0
  private blockData = 0

  constructor(options: JournalOptions) {
    this.options = options
  }

  /**
   * Goes on where a predecessor stopped: after the last part that is whole. Only its last segment can end within a part, and
   * only there can whole parts be that were not synced: a segment is begun when all before is on the disk.
   */
  takeOver(left: readonly LeftSegment[]): void {
    for (const { path: file, length, lastSet } of left) {
      try {
        this.segments.push({ path: file, fd: fs.openSync(file, 'r+'), length, lastSet })
      } catch (cause) {
        throw ioError('open', file, cause)
      }
    }
    if (this.segments.length === 0) return
    const last = this.current()
    try {
      fs.ftruncateSync(last.fd, last.length)
      fs.fdatasyncSync(last.fd)
      // It may be that its name was not made durable.
      syncDirectory(this.options.directory)
    } catch (cause) {
      throw ioError('take over', last.path, cause)
    }
  }

  /** A part that was not synced is dropped: it starts again after a change of view, or after an error. */
  begin(set: number): void {
    if (this.broken !== null) throw this.broken
    this.interrupted = null
    this.resetBlock()
    if (this.frames !== null) this.dropUnfinished()
    const segment = this.segmentFor(set)
    this.set = set
    this.setLow = set | 0
    this.start = segment.length
    this.frames = this.spare.pop() ?? frameTable()
    this.data = 0
    this.ordinal = 0
    this.writeBlock(KIND_BEGIN, 0, 0)
  }

  append(arena: Arena, address: number): void {
    const at = address >>> 2
    const half = address >>> 3
    const { ints, floats } = arena
    const volume = ints[at + RECORD_VOLUME] as number
    const zero = ((ints[at + RECORD_FLAGS] as number) & FLAG_ZERO) !== 0
    const stored = zero ? 0 : (ints[at + RECORD_LENGTH] as number)
    const length = zero ? (floats[half + RECORD_PAYLOAD] as number) : stored
    const offset = floats[half + RECORD_OFFSET] as number
    const sequence = floats[half + RECORD_SEQUENCE] as number
    const setLow = ints[at + RECORD_SET] as number
    // Anything else is a bug of ours or spoilt memory; neither may get as far as an image.
    if (setLow !== this.setLow) this.refuse(volume, offset, length, setLow)
    this.add(volume, zero, offset, length, sequence, arena.bytes, address + HEADER_BYTES)
  }

  /** The update whose data lie there; they stay as they are until `gather`. */
  add(
    volume: number,
    zero: boolean,
    offset: number,
    length: number,
    sequence: number,
    bytes: Buffer,
    from: number
  ): void {
    const stored = zero ? 0 : length
    const size = this.options.sizes[volume] ?? -1
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) this.refuse(volume, offset, length, this.setLow)
    if (
      this.blockUpdates === BLOCK_MOST_UPDATES ||
      this.views.length >= MOST_VIEWS - 2 ||
      this.blockData + stored > BLOCK_MOST_DATA
    ) {
      this.writeUpdates()
    }
    const frames = this.frames as FloatTable
    const row = frames.add()
    frames.set(row, FRAME_VOLUME, volume)
    frames.set(row, FRAME_OFFSET, offset)
    frames.set(row, FRAME_LENGTH, length)
    frames.set(row, FRAME_SEQUENCE, sequence)
    // Within the block's data for now: where that begins is known when the block is written.
    frames.set(row, FRAME_POSITION, zero ? -1 : this.blockData)
    const entry = BLOCK_HEADER_BYTES + this.blockUpdates * BLOCK_ENTRY_BYTES
    this.headWords[entry >>> 2] = volume
    this.headWords[(entry >>> 2) + 1] = zero ? ENTRY_ZERO : 0
    this.headFloats[(entry >>> 3) + 1] = offset
    this.headFloats[(entry >>> 3) + 2] = length
    this.headFloats[(entry >>> 3) + 3] = sequence
    this.blockUpdates++
    if (stored > 0) this.addData(bytes, from, stored)
  }

  /** Writes what was appended and still lies in memory that was lent. */
  gather(): void {
    this.writeUpdates()
  }

  /** The part is whole and on the disk when it returns. */
  sync(): Part {
    const frames = this.frames as FloatTable
    this.writeUpdates()
    this.writeBlock(KIND_END, frames.length, this.data)
    const segment = this.current()
    try {
      fs.fdatasyncSync(segment.fd)
    } catch (cause) {
      // What was not written may be dropped from the system's cache: asking again would say that all is well.
      this.broken = ioError('sync', segment.path, cause)
      throw this.broken
    }
    segment.lastSet = this.set
    this.frames = null
    return { set: this.set, path: segment.path, frames, bytes: this.data }
  }

  /** Where the part's data is read from. */
  fileOf(part: Part): number {
    const segment = this.segments.find((other) => other.path === part.path)
    if (segment === undefined) throw new Error(`the segment ${part.path} was removed before its set was applied`)
    return segment.fd
  }

  /** The part is applied: its table may be used again. */
  recycle(part: Part): void {
    part.frames.clear()
    if (this.spare.length < SPARE_TABLES) this.spare.push(part.frames)
  }

  /**
   * Sets up to it are in the images, and that is durably marked: segments that hold only such are removed.
   * @param least  so many stay
   */
  release(upTo: number, least = 1): void {
    while (this.segments.length > least) {
      const segment = this.segments[0] as Segment
      if (segment.lastSet > upTo) return
      this.segments.shift()
      this.remove(segment)
    }
  }

  close(): void {
    for (const segment of this.segments.splice(0)) fs.closeSync(segment.fd)
  }

  /** The part that is being received is not wanted any more. */
  abandon(): void {
    if (this.frames === null) return
    this.resetBlock()
    this.dropUnfinished()
  }

  private current(): Segment {
    return this.segments[this.segments.length - 1] as Segment
  }

  private segmentFor(set: number): Segment {
    const last = this.segments[this.segments.length - 1]
    if (last !== undefined && last.length < (this.options.segmentBytes ?? SEGMENT_BYTES)) return last
    const file = path.join(this.options.directory, `${this.options.component}-${set}.log`)
    let fd = -1
    try {
      fd = fs.openSync(file, 'wx+')
      // Without it the part could be on the disk, synced, and have no name.
      syncDirectory(this.options.directory)
    } catch (cause) {
      if (fd >= 0) {
        fs.closeSync(fd)
        fs.rmSync(file, { force: true })
      }
      throw ioError('make', file, cause)
    }
    const segment: Segment = { path: file, fd, length: 0, lastSet: 0 }
    this.segments.push(segment)
    return segment
  }

  private dropUnfinished(): void {
    const segment = this.current()
    this.frames?.clear()
    this.frames = null
    try {
      fs.ftruncateSync(segment.fd, this.start)
    } catch (cause) {
      throw ioError('cut back', segment.path, cause)
    }
    segment.length = this.start
  }

  private remove(segment: Segment): void {
    fs.closeSync(segment.fd)
    try {
      // Not made durable: one that comes back after a crash holds only sets that are applied.
      fs.unlinkSync(segment.path)
    } catch (cause) {
      throw ioError('remove', segment.path, cause)
    }
  }

  private addData(bytes: Buffer, from: number, length: number): void {
    if (length <= COPIED_BYTES) {
      bytes.copy(this.copied, this.copiedLength, from, from + length)
      this.copiedLength += length
    } else {
      this.endPiece()
      this.views.push(bytes.subarray(from, from + length))
    }
    this.blockData += length
  }

  /** What was copied since the last piece becomes one. */
  private endPiece(): void {
    if (this.copiedLength === this.pieceFrom) return
    this.views.push(this.copied.subarray(this.pieceFrom, this.copiedLength))
    this.pieceFrom = this.copiedLength
  }

  private writeUpdates(): void {
    if (this.blockUpdates === 0) return
    this.endPiece()
    const frames = this.frames as FloatTable
    const headBytes = BLOCK_HEADER_BYTES + this.blockUpdates * BLOCK_ENTRY_BYTES
    const dataAt = this.current().length + headBytes
    this.writeBlock(KIND_UPDATES, this.blockUpdates, this.blockData)
    for (let row = frames.length - this.blockUpdates; row < frames.length; row++) {
      const position = frames.get(row, FRAME_POSITION)
      if (position >= 0) frames.set(row, FRAME_POSITION, dataAt + position)
    }
    this.data += this.blockData
    this.resetBlock()
  }

  private writeBlock(kind: number, updates: number, data: number): void {
    if (this.interrupted !== null) throw this.interrupted
    const { headWords, headFloats } = this
    headWords[0] = BLOCK_MAGIC
    headWords[BLOCK_KIND] = kind
    headWords[BLOCK_COMPONENT] = this.options.component
    headFloats[BLOCK_SET] = this.set
    headFloats[BLOCK_ORDINAL] = this.ordinal
    headFloats[BLOCK_UPDATES] = updates
    headFloats[BLOCK_DATA] = data
    const headBytes = BLOCK_HEADER_BYTES + (kind === KIND_UPDATES ? updates * BLOCK_ENTRY_BYTES : 0)
    let crc = crc32(this.head.subarray(BLOCK_CHECKED_FROM, headBytes))
    let length = headBytes
    for (const view of this.views) {
      crc = crc32(view, crc)
      length += view.length
    }
    headWords[BLOCK_CRC] = crc
    const segment = this.current()
    try {
      writeAllFully(segment.fd, [this.head.subarray(0, headBytes), ...this.views], length, segment.length)
    } catch (cause) {
      const error = ioError('write', segment.path, cause)
      if (!(error instanceof TidemarkError) || error.code !== 'TIDEMARK_NO_SPACE') this.interrupted = error
      throw error
    }
    this.ordinal++
    segment.length += length
  }

  private resetBlock(): void {
    this.views = []
    this.blockUpdates = 0
    this.blockData = 0
    this.copiedLength = 0
    this.pieceFrom = 0
  }

  private refuse(volume: number, offset: number, length: number, setLow: number): never {
    const { component, sizes } = this.options
    const message = `secondary component ${component} was sent an update that cannot be one of set ${this.set}`
    const details = { component, set: this.set, setLow, volume, offset, length, size: sizes[volume] ?? null }
    throw new TidemarkError('TIDEMARK_CORRUPT', message, details)
  }
}

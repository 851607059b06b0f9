import fs from 'node:fs'
import path from 'node:path'
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
import { BLOCK_MAGIC, frameTable, type Part } from './block.ts'
import { BlockWriter } from './block-writer.ts'
import { ioError, syncDirectory } from './files.ts'
import type { FloatTable } from './float-table.ts'
import type { LeftSegment } from './left-segments.ts'

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

  // The part that is being received.
  private readonly writer: BlockWriter
  private set = 0
  private setLow = 0
  private start = 0
  private frames: FloatTable | null = null

  constructor(options: JournalOptions) {
    this.options = options
    this.writer = new BlockWriter(BLOCK_MAGIC, options.component)
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
    if (this.frames !== null) this.dropUnfinished()
    const segment = this.segmentFor(set)
    this.set = set
    this.setLow = set | 0
    this.start = segment.length
    this.frames = this.spare.pop() ?? frameTable()
    this.writer.begin(set, { path: segment.path, fd: segment.fd, position: segment.length }, this.frames)
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
    const size = this.options.sizes[volume] ?? -1
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) this.refuse(volume, offset, length, this.setLow)
    this.writer.add(volume, offset, length, sequence, zero ? null : bytes, from)
  }

  /** Writes what was appended and still lies in memory that was lent. */
  gather(): void {
    this.writer.flush()
  }

  /** The part is whole and on the disk when it returns. */
  sync(): Part {
    const frames = this.frames as FloatTable
    this.writer.end()
    const segment = this.current()
    try {
      fs.fdatasyncSync(segment.fd)
    } catch (cause) {
      // What was not written may be dropped from the system's cache: asking again would say that all is well.
      this.broken = ioError('sync', segment.path, cause)
      throw this.broken
    }
    segment.length = this.writer.position
    segment.lastSet = this.set
    this.frames = null
    return { set: this.set, path: segment.path, frames, bytes: this.writer.data }
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
    if (this.frames !== null) this.dropUnfinished()
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

  private refuse(volume: number, offset: number, length: number, setLow: number): never {
    const { component, sizes } = this.options
    const message = `secondary component ${component} was sent an update that cannot be one of set ${this.set}`
    const details = { component, set: this.set, setLow, volume, offset, length, size: sizes[volume] ?? null }
    throw new TidemarkError('TIDEMARK_CORRUPT', message, details)
  }
}

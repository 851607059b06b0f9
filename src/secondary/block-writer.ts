import { crc32 } from 'node:zlib'
import {
  BLOCK_CHECKED_FROM,
  BLOCK_COMPONENT,
  BLOCK_CRC,
  BLOCK_DATA,
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
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
  KIND_BEGIN,
  KIND_END,
  KIND_UPDATES
} from './block.ts'
import { ioError, isNoSpace, writeAllFully } from './files.ts'
import type { FloatTable } from './float-table.ts'

/** Data up to this long is copied into the block's buffer; longer data is written from where it lies. */
const COPIED_BYTES = 2048
/** The system takes at most 1024 pieces in one call. */
const MOST_VIEWS = 1000

/** Where a part is written to. */
export interface PartPlace {
  readonly path: string
  readonly fd: number
  /** Of the first block. */
  readonly position: number
}

/** Writes parts of sets as blocks (block.ts): of the journal, and of the undo. */
export class BlockWriter {
  /** Where the next block goes. */
  position = 0
  /** Data bytes in the part's blocks that are written. */
  data = 0
  private readonly magic: number
  private readonly component: number
  private path = ''
  private fd = -1
  private set = 0
  private frames: FloatTable | null = null
  private updates = 0
  private ordinal = 0
  /** A failed write: the part cannot go on, it can only begin again. For want of room it can: the block is written again. */
  private interrupted: unknown = null

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

  constructor(magic: number, component: number) {
    this.magic = magic
    this.component = component
  }

  /** @param frames  where the updates are tabled, too; null: nowhere */
  begin(set: number, place: PartPlace, frames: FloatTable | null): void {
    this.resetBlock()
    this.interrupted = null
    this.path = place.path
    this.fd = place.fd
    this.position = place.position
    this.set = set
    this.frames = frames
    this.updates = 0
    this.data = 0
    this.ordinal = 0
    this.writeBlock(KIND_BEGIN, 0, 0)
  }

  /** The bytes from `at` on of `from` stay as they are until the block is written. Zeros have none. */
  add(volume: number, offset: number, length: number, sequence: number, from: Buffer | null, at: number): void {
    const stored = from === null ? 0 : length
    if (
      this.blockUpdates === BLOCK_MOST_UPDATES ||
      this.views.length >= MOST_VIEWS - 2 ||
      this.blockData + stored > BLOCK_MOST_DATA
    ) {
      this.flush()
    }
    const { frames } = this
    if (frames !== null) {
      const row = frames.add()
      frames.set(row, FRAME_VOLUME, volume)
      frames.set(row, FRAME_OFFSET, offset)
      frames.set(row, FRAME_LENGTH, length)
      frames.set(row, FRAME_SEQUENCE, sequence)
      // Within the block's data for now: where that begins is known when the block is written.
      frames.set(row, FRAME_POSITION, from === null ? -1 : this.blockData)
    }
    const entry = BLOCK_HEADER_BYTES + this.blockUpdates * BLOCK_ENTRY_BYTES
    this.headWords[entry >>> 2] = volume
    this.headWords[(entry >>> 2) + 1] = from === null ? ENTRY_ZERO : 0
    this.headFloats[(entry >>> 3) + 1] = offset
    this.headFloats[(entry >>> 3) + 2] = length
    this.headFloats[(entry >>> 3) + 3] = sequence
    this.blockUpdates++
    if (from !== null && length > 0) this.addData(from, at, length)
  }

  /** Writes what was added: the memory in which it lies is not looked at again. */
  flush(): void {
    if (this.blockUpdates === 0) return
    this.endPiece()
    const dataAt = this.position + BLOCK_HEADER_BYTES + this.blockUpdates * BLOCK_ENTRY_BYTES
    this.writeBlock(KIND_UPDATES, this.blockUpdates, this.blockData)
    // When it is written: for want of room it may be written again.
    if (this.frames !== null) this.placeFrames(this.frames, dataAt)
    this.updates += this.blockUpdates
    this.data += this.blockData
    this.resetBlock()
  }

  /** All of the part is written when it returns. */
  end(): void {
    this.flush()
    this.writeBlock(KIND_END, this.updates, this.data)
  }

  private placeFrames(frames: FloatTable, dataAt: number): void {
    for (let row = frames.length - this.blockUpdates; row < frames.length; row++) {
      const position = frames.get(row, FRAME_POSITION)
      if (position >= 0) frames.set(row, FRAME_POSITION, dataAt + position)
    }
  }

  private addData(from: Buffer, at: number, length: number): void {
    if (length <= COPIED_BYTES) {
      from.copy(this.copied, this.copiedLength, at, at + length)
      this.copiedLength += length
    } else {
      this.endPiece()
      this.views.push(from.subarray(at, at + length))
    }
    this.blockData += length
  }

  /** What was copied since the last piece becomes one. */
  private endPiece(): void {
    if (this.copiedLength === this.pieceFrom) return
    this.views.push(this.copied.subarray(this.pieceFrom, this.copiedLength))
    this.pieceFrom = this.copiedLength
  }

  private writeBlock(kind: number, updates: number, data: number): void {
    if (this.interrupted !== null) throw this.interrupted
    const { headWords, headFloats } = this
    headWords[0] = this.magic
    headWords[BLOCK_KIND] = kind
    headWords[BLOCK_COMPONENT] = this.component
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
    try {
      writeAllFully(this.fd, [this.head.subarray(0, headBytes), ...this.views], length, this.position)
    } catch (cause) {
      const error = ioError('write', this.path, cause)
      if (!isNoSpace(error)) this.interrupted = error
      throw error
    }
    this.ordinal++
    this.position += length
  }

  private resetBlock(): void {
    this.views = []
    this.blockUpdates = 0
    this.blockData = 0
    this.copiedLength = 0
    this.pieceFrom = 0
  }
}

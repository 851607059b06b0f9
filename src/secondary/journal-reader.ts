import fs from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { TidemarkError } from '../errors.ts'
import {
  BLOCK_CHECKED_FROM,
  BLOCK_COMPONENT,
  BLOCK_CRC,
  BLOCK_DATA,
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
  BLOCK_MAGIC,
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
import { ioError, readFully } from './files.ts'
import type { FloatTable } from './float-table.ts'

export interface SegmentName {
  readonly path: string
  readonly component: number
  readonly firstSet: number
}

/** Why a segment could be read no further: the tail of a part that was never finished, or damage. */
export interface SegmentEnd {
  readonly path: string
  readonly position: number
  readonly reason: string
}

const READ_BYTES = 1 << 20

/** The journal's segments, each component's in the order in which they were written. */
export function listSegments(journal: string): SegmentName[] {
  const found: SegmentName[] = []
  for (const name of fs.readdirSync(journal)) {
    const match = /^(\d+)-(\d+)\.log$/.exec(name)
    if (match === null) continue
    found.push({ path: path.join(journal, name), component: Number(match[1]), firstSet: Number(match[2]) })
  }
  return found.sort((a, b) => a.component - b.component || a.firstSet - b.firstSet)
}

/** @param since  why it was expected to be there */
export function missingPart(component: number, set: number, since: string, ends: readonly SegmentEnd[]): TidemarkError {
  const why = ends.map((end) => `${end.path}: ${end.reason} at ${end.position}`).join('; ')
  const message = `the part of secondary component ${component} in set ${set} is missing from the journal, though ${since}`
  const damage = ends.map((end) => ({ ...end }))
  return new TidemarkError('TIDEMARK_CORRUPT', why === '' ? message : `${message} (${why})`, { set, component, damage })
}

export interface Block {
  readonly kind: number
  readonly set: number
  readonly ordinal: number
  readonly updates: number
  readonly data: number
  readonly entries: Buffer
  readonly dataAt: number
  readonly end: number
}

/**
 * Reads a segment from its beginning and hands out each part that is whole, its updates tabled, its checksums right, and
 * where it ends. Returns where and why the segment ended before the end of the file, if it did.
 */
export function readSegment(segment: SegmentName, each: (part: Part, end: number) => void): SegmentEnd | null {
  const steps = readSteps(segment, each, BLOCK_MAGIC)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** The same a block at a time. @param magic  of its blocks */
export function* readSteps(
  segment: SegmentName,
  each: (part: Part, end: number) => void,
  magic: number
): Generator<undefined, SegmentEnd | null> {
  const fd = fs.openSync(segment.path, 'r')
  try {
    const size = fs.fstatSync(fd).size
    let position = 0
    let reading: { set: number; frames: FloatTable; blocks: number; data: number } | null = null
    while (position < size) {
      const block = readBlock(fd, position, size, segment.component, magic)
      if (typeof block === 'string') return { path: segment.path, position, reason: block }
      if (block.kind === KIND_BEGIN) reading = { set: block.set, frames: frameTable(), blocks: 0, data: 0 }
      if (reading === null || block.set !== reading.set || block.ordinal !== reading.blocks) {
        return { path: segment.path, position, reason: `block ${block.ordinal} of set ${block.set} is out of place` }
      }
      reading.blocks++
      if (block.kind === KIND_UPDATES) {
        tableUpdates(block, reading.frames)
        reading.data += block.data
      }
      if (block.kind === KIND_END) {
        if (block.updates !== reading.frames.length || block.data !== reading.data) {
          return { path: segment.path, position, reason: `set ${block.set} ends with other totals than it has` }
        }
        const { frames, data: bytes } = reading
        each({ set: block.set, path: segment.path, frames, bytes }, block.end)
        reading = null
      }
      position = block.end
      yield
    }
    return null
  } catch (cause) {
    throw ioError('read', segment.path, cause)
  } finally {
    fs.closeSync(fd)
  }
}

/** The block, or what is wrong with it. */
export function readBlock(
  fd: number,
  position: number,
  size: number,
  component: number,
  magic = BLOCK_MAGIC
): Block | string {
  const header = Buffer.alloc(BLOCK_HEADER_BYTES)
  if (readFully(fd, header, 0, BLOCK_HEADER_BYTES, position) < BLOCK_HEADER_BYTES) return 'ends within a header'
  if (header.readUInt32LE(0) !== magic) return 'no block begins here'
  if (header.readUInt32LE(BLOCK_COMPONENT * 4) !== component) return 'a block of another component'
  const kind = header.readUInt32LE(BLOCK_KIND * 4)
  const updates = header.readDoubleLE(BLOCK_UPDATES * 8)
  const data = header.readDoubleLE(BLOCK_DATA * 8)
  // An end block's numbers are totals: nothing follows its header.
  const counts = kind === KIND_UPDATES
  const entries = counts ? updates : 0
  // Before the checksum was seen they can be anything.
  if (!isCount(updates) || !isCount(data) || entries > BLOCK_MOST_UPDATES) return `a block with ${updates} updates`
  const dataAt = position + BLOCK_HEADER_BYTES + entries * BLOCK_ENTRY_BYTES
  const end = dataAt + (counts ? data : 0)
  if (!(end <= size)) return 'ends within a block'
  const table = Buffer.alloc(entries * BLOCK_ENTRY_BYTES)
  readFully(fd, table, 0, table.length, position + BLOCK_HEADER_BYTES)
  const crc = crc32(table, crc32(header.subarray(BLOCK_CHECKED_FROM)))
  if (checksum(fd, dataAt, end, crc) !== header.readUInt32LE(BLOCK_CRC * 4)) return 'a wrong checksum'
  const set = header.readDoubleLE(BLOCK_SET * 8)
  const ordinal = header.readDoubleLE(BLOCK_ORDINAL * 8)
  return { kind, set, ordinal, updates, data, entries: table, dataAt, end }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function checksum(fd: number, from: number, to: number, before: number): number {
  const buffer = Buffer.alloc(Math.min(READ_BYTES, to - from))
  let crc = before
  for (let at = from; at < to; ) {
    const got = readFully(fd, buffer, 0, Math.min(buffer.length, to - at), at)
    if (got === 0) break
    crc = crc32(buffer.subarray(0, got), crc)
    at += got
  }
  return crc
}

function tableUpdates(block: Block, frames: FloatTable): void {
  let position = block.dataAt
  for (let n = 0; n < block.updates; n++) {
    const at = n * BLOCK_ENTRY_BYTES
    const zero = (block.entries.readUInt32LE(at + 4) & ENTRY_ZERO) !== 0
    const length = block.entries.readDoubleLE(at + 16)
    const row = frames.add()
    frames.set(row, FRAME_VOLUME, block.entries.readUInt32LE(at))
    frames.set(row, FRAME_OFFSET, block.entries.readDoubleLE(at + 8))
    frames.set(row, FRAME_LENGTH, length)
    frames.set(row, FRAME_SEQUENCE, block.entries.readDoubleLE(at + 24))
    frames.set(row, FRAME_POSITION, zero ? -1 : position)
    if (!zero) position += length
  }
}

import fs from 'node:fs'
import {
  BLOCK_DATA,
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
  BLOCK_MAGIC,
  BLOCK_UPDATES,
  KIND_BEGIN,
  KIND_END,
  KIND_UPDATES
} from './block.ts'
import { errnoOf, openingError, readFully } from './files.ts'
import { type Block, readBlock, type SegmentEnd, type SegmentName } from './journal-reader.ts'

/** A part of which blocks have been read, in order. */
interface Reading {
  readonly set: number
  blocks: number
  updates: number
  data: number
}

/** How far a segment has been checked: plain, so that another thread can go on with it. */
export interface SegmentCheck {
  readonly segment: SegmentName
  /** Of its blocks. */
  readonly magic: number
  position: number
  reading: Reading | null
  /** Sets of which it holds a whole part, and the updates in it. */
  readonly parts: { set: number; updates: number }[]
  /** What is certainly not as it was written. */
  readonly damage: SegmentEnd[]
  /** What may be the rest of a part that was never finished, unless a part begins after it. */
  doubtful: SegmentEnd | null
  isDone: boolean
}

export function beginSegmentCheck(segment: SegmentName, magic = BLOCK_MAGIC): SegmentCheck {
  return { segment, magic, position: 0, reading: null, parts: [], damage: [], doubtful: null, isDone: false }
}

/**
 * Goes on for about so many bytes: every block's checksum, and whether blocks make parts. Tables nothing, whatever parts hold.
 *
 * A part begins when the one before is on the disk. So what cannot be read is damage if a part begins behind it, and may
 * else be what a crash left of a part. What lies behind it is found by the lengths of blocks, not by looking for something
 * that looks like one: the data of updates may hold anything, journals too. Where the length itself was damaged the rest of
 * the segment is not read, and whole parts that ought to be there are missing (check-journal.ts).
 */
export function checkSomeOfSegment(check: SegmentCheck, budgetBytes: number): SegmentCheck {
  const { path } = check.segment
  let fd = -1
  try {
    fd = fs.openSync(path, 'r')
    const { size } = fs.fstatSync(fd)
    const until = check.position + budgetBytes
    while (check.position < Math.min(size, until) && !check.isDone) step(check, fd, size)
    if (check.position >= size) check.isDone = true
  } catch (cause) {
    // A live writer removes segments that it does not need any more.
    if (errnoOf(cause) !== 'ENOENT') throw openingError('read', path, cause)
    check.isDone = true
  } finally {
    if (fd >= 0) fs.closeSync(fd)
  }
  return check
}

function step(check: SegmentCheck, fd: number, size: number): void {
  const { position, segment, magic } = check
  const block = readBlock(fd, position, size, segment.component, magic)
  if (typeof block === 'string') {
    doubt(check, block)
    const end = claimedEnd(fd, position, size)
    if (end === null) check.isDone = true
    else check.position = end
    return
  }
  const reason = take(check, block)
  if (reason !== null) doubt(check, reason)
  check.position = block.end
}

/** Returns what is wrong with its place, or null. */
function take(check: SegmentCheck, block: Block): string | null {
  if (block.kind === KIND_BEGIN && block.ordinal === 0) {
    if (check.doubtful !== null) check.damage.push(check.doubtful)
    check.doubtful = null
    check.reading = { set: block.set, blocks: 1, updates: 0, data: 0 }
    return null
  }
  const { reading } = check
  // Behind something that cannot be read, only the beginning of a part tells anything.
  if (reading === null && check.doubtful !== null) return null
  if (reading === null || block.set !== reading.set || block.ordinal !== reading.blocks) {
    return `block ${block.ordinal} of set ${block.set} is out of place`
  }
  reading.blocks++
  if (block.kind === KIND_UPDATES) {
    reading.updates += block.updates
    reading.data += block.data
  }
  if (block.kind !== KIND_END) return null
  check.reading = null
  if (block.updates !== reading.updates || block.data !== reading.data) {
    return `set ${block.set} ends with other totals than it has`
  }
  check.parts.push({ set: reading.set, updates: reading.updates })
  return null
}

function doubt(check: SegmentCheck, reason: string): void {
  check.doubtful ??= { path: check.segment.path, position: check.position, reason }
  check.reading = null
}

/** Where a block ends by what its header says, though the block is damaged; null where that cannot be. */
function claimedEnd(fd: number, position: number, size: number): number | null {
  const header = Buffer.alloc(BLOCK_HEADER_BYTES)
  if (readFully(fd, header, 0, BLOCK_HEADER_BYTES, position) < BLOCK_HEADER_BYTES) return null
  const hasUpdates = header.readUInt32LE(BLOCK_KIND * 4) === KIND_UPDATES
  const entries = hasUpdates ? header.readDoubleLE(BLOCK_UPDATES * 8) * BLOCK_ENTRY_BYTES : 0
  const data = hasUpdates ? header.readDoubleLE(BLOCK_DATA * 8) : 0
  const end = position + BLOCK_HEADER_BYTES + entries + data
  return Number.isSafeInteger(end) && entries >= 0 && data >= 0 && end <= size ? end : null
}

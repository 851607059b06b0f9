import { crc32 } from 'node:zlib'
import { TidemarkError } from '../errors.ts'

/**
 * What the activity log says at one moment, and its bytes (docs/on-disk.md).
 *
 *      0  crc32 of the slot from byte 4 on (uint32)    4  magic (uint32)       8  generation
 *     16  volume size          24  bytes of a region     32  cursor             40  cleanSet
 *     48  file's identity      56  time of change at an orderly end, NaN while open
 *     64  secondary's id, 16 bytes                       80  length of the volume's name (uint32)   84  the name
 *    256  bitmap of regions, 512 bytes
 */
export interface ActivityRecord {
  readonly size: number
  readonly regionBytes: number
  /** Bytes before it have been compared once; the size of the volume when all have. */
  readonly cursor: number
  /** The last set with anything that need not be compared any more: a secondary that has not applied it has gone back. */
  readonly cleanSet: number
  /** Of the primary file, as the file system numbers it. */
  readonly inode: number
  /** Modification time of the primary file when it was closed in order; null while it is open. */
  readonly closedAtMs: number | null
  /** Of the secondary directory: 32 hexadecimal digits. */
  readonly secondary: string
  /** Name of the secondary volume. */
  readonly target: string
  readonly regions: Uint8Array
}

export const MOST_REGIONS = 4096
export const SLOT_BYTES = 1024
const SMALLEST_REGION = 65536
const BITMAP_AT = 256
const NAME_AT = 84
/** 'TMA' and the version as a digit, little-endian. */
const MAGIC = 0x31414d54
const MAGIC_MASK = 0xffffff

/** A power of two, so that the volume has at most MOST_REGIONS of them. */
export function regionBytesFor(size: number): number {
  let bytes = SMALLEST_REGION
  while (bytes * MOST_REGIONS < size) bytes *= 2
  return bytes
}

export function regionCount(size: number, regionBytes: number): number {
  return Math.ceil(size / regionBytes)
}

export function encode(record: ActivityRecord, generation: number): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES)
  slot.writeUInt32LE(MAGIC, 4)
  slot.writeDoubleLE(generation, 8)
  slot.writeDoubleLE(record.size, 16)
  slot.writeDoubleLE(record.regionBytes, 24)
  slot.writeDoubleLE(record.cursor, 32)
  slot.writeDoubleLE(record.cleanSet, 40)
  slot.writeDoubleLE(record.inode, 48)
  slot.writeDoubleLE(record.closedAtMs ?? Number.NaN, 56)
  slot.write(record.secondary, 64, 'hex')
  slot.writeUInt32LE(Buffer.byteLength(record.target), 80)
  slot.write(record.target, NAME_AT)
  for (let region = 0; region < record.regions.length; region++) {
    if (record.regions[region] !== 1) continue
    const at = BITMAP_AT + (region >>> 3)
    slot.writeUInt8(slot.readUInt8(at) | (1 << (region & 7)), at)
  }
  slot.writeUInt32LE(crc32(slot.subarray(4)), 0)
  return slot
}

/** Null when it is damaged, or was never written whole. @throws TidemarkError TIDEMARK_VERSION */
export function decode(slot: Buffer, path: string): { record: ActivityRecord; generation: number } | null {
  if (slot.length < SLOT_BYTES || slot.readUInt32LE(0) !== crc32(slot.subarray(4, SLOT_BYTES))) return null
  const magic = slot.readUInt32LE(4)
  if (magic !== MAGIC) {
    if ((magic & MAGIC_MASK) !== (MAGIC & MAGIC_MASK)) return null
    const version = String.fromCharCode(magic >>> 24)
    const message = `the activity log ${path} has version ${version}, this tidemark knows 1`
    throw new TidemarkError('TIDEMARK_VERSION', message, { path, version, known: [1] })
  }
  const size = slot.readDoubleLE(16)
  const regionBytes = slot.readDoubleLE(24)
  const closedAtMs = slot.readDoubleLE(56)
  const regions = new Uint8Array(regionCount(size, regionBytes))
  for (let region = 0; region < regions.length; region++) {
    regions[region] = (slot.readUInt8(BITMAP_AT + (region >>> 3)) >>> (region & 7)) & 1
  }
  return {
    generation: slot.readDoubleLE(8),
    record: {
      size,
      regionBytes,
      cursor: slot.readDoubleLE(32),
      cleanSet: slot.readDoubleLE(40),
      inode: slot.readDoubleLE(48),
      closedAtMs: Number.isNaN(closedAtMs) ? null : closedAtMs,
      secondary: slot.toString('hex', 64, 80),
      target: slot.toString('utf8', NAME_AT, NAME_AT + slot.readUInt32LE(80)),
      regions
    }
  }
}

import { crc32 } from 'node:zlib'

/**
 * Descriptor of a commit record: two copies of the same content, one after the other, written by one call. A flipped bit in
 * one of them is repaired by the other, so it is not taken for a write that was cut short. A copy:
 *
 *      0         4         8         12     13      14       16
 *      +---------+---------+---------+------+-------+--------+
 *      | magic   | crc32   | length  | copy | parts | label  |
 *      +---------+---------+---------+------+-------+--------+
 *      16        24                  32        40        48        56
 *      +---------+-------------------+---------+---------+---------+
 *      | set     | consistency time  | updates | bytes   | first   |
 *      +---------+-------------------+---------+---------+---------+
 *      56: for each secondary component what its part holds; then the label, padded with zeros to a multiple of 8
 *      +---------+---------+
 *      | updates | bytes   |
 *      +---------+---------+
 *
 * `crc32`   of everything in the copy after it
 * `length`  of the copy in bytes; uint32 as the two before
 * `copy`    which of the two it is, 1 or 2; `parts` how many components; one byte each
 * `label`   its length in bytes, uint16
 * `first`   the first set that is secured and applied together with it; 0: itself alone
 *
 * From `set` on float64 each.
 */
export interface CommitPart {
  readonly updates: number
  /** Data bytes: a range that reads as zeros has none. */
  readonly bytes: number
}

export interface Commit {
  readonly set: number
  /** Milliseconds since the epoch. */
  readonly time: number
  /** As the group acknowledged them. The parts may hold fewer: what was overwritten within a set need not be sent. */
  readonly updates: number
  readonly bytes: number
  /** The manifest: by secondary component, what its journal holds of the set, or of all sets that are secured as one. */
  readonly parts: readonly CommitPart[]
  /** The first of the sets that are secured and applied as one, up to `set`; absent where it is alone. */
  readonly first?: number
  /** Its name, where it was closed as a restore point; of several sets the last name. */
  readonly label?: string
}

/** 'TMK1', little-endian. */
const MAGIC = 0x314b4d54
const HEAD_BYTES = 56
const PART_BYTES = 16
const MOST_PARTS = 64
const MOST_LABEL_BYTES = 128
const ALIGNMENT = 8

export interface RecordFound {
  readonly commit: Commit
  /** Where the next record begins. */
  readonly end: number
  /** Which copy is not as it was written; null for neither. The other one is. */
  readonly damagedCopy: 1 | 2 | null
  /** Before it lies another one, of which neither copy can be read. */
  readonly followsDamage: boolean
}

export function encodeCommit(commit: Commit): Buffer {
  return Buffer.concat([encodeCopy(commit, 1), encodeCopy(commit, 2)])
}

/** The record that begins here, or else the next one that can be read. */
export function readRecord(log: Buffer, begin: number): RecordFound | null {
  for (let at = begin; at < log.length; at += ALIGNMENT) {
    const first = decodeCopy(log, at, 1)
    if (first !== null) {
      const { commit, length } = first
      const damagedCopy = decodeCopy(log, at + length, 2) === null ? 2 : null
      return { commit, end: at + 2 * length, damagedCopy, followsDamage: at > begin }
    }
    const second = decodeCopy(log, at, 2)
    if (second !== null) {
      const { commit, length } = second
      // Only the length of the second copy says where the damaged first one began.
      return { commit, end: at + length, damagedCopy: 1, followsDamage: at - length !== begin }
    }
  }
  return null
}

function encodeCopy(commit: Commit, copy: 1 | 2): Buffer {
  const { set, time, updates, bytes, first = 0, parts } = commit
  const label = Buffer.from(commit.label ?? '', 'latin1')
  if (parts.length > MOST_PARTS || label.length > MOST_LABEL_BYTES) {
    throw new Error(`set ${set} has ${parts.length} parts and a label of ${label.length} bytes`)
  }
  const labelAt = HEAD_BYTES + parts.length * PART_BYTES
  const record = Buffer.alloc(Math.ceil((labelAt + label.length) / ALIGNMENT) * ALIGNMENT)
  record.writeUInt32LE(MAGIC, 0)
  record.writeUInt32LE(record.length, 8)
  record.writeUInt8(copy, 12)
  record.writeUInt8(parts.length, 13)
  record.writeUInt16LE(label.length, 14)
  const numbers = [set, time, updates, bytes, first, ...parts.flatMap((part) => [part.updates, part.bytes])]
  for (const [n, value] of numbers.entries()) record.writeDoubleLE(value, 16 + n * 8)
  label.copy(record, labelAt)
  record.writeUInt32LE(crc32(record.subarray(8)), 4)
  return record
}

function decodeCopy(log: Buffer, at: number, copy: 1 | 2): { commit: Commit; length: number } | null {
  if (at + HEAD_BYTES > log.length || log.readUInt32LE(at) !== MAGIC) return null
  const length = log.readUInt32LE(at + 8)
  if (length < HEAD_BYTES || at + length > log.length) return null
  const record = log.subarray(at, at + length)
  if (record.readUInt32LE(4) !== crc32(record.subarray(8)) || record.readUInt8(12) !== copy) return null
  const count = record.readUInt8(13)
  const labelAt = HEAD_BYTES + count * PART_BYTES
  const label = record.toString('latin1', labelAt, labelAt + record.readUInt16LE(14))
  const first = record.readDoubleLE(48)
  const commit = {
    set: record.readDoubleLE(16),
    time: record.readDoubleLE(24),
    updates: record.readDoubleLE(32),
    bytes: record.readDoubleLE(40),
    parts: Array.from({ length: count }, (_, n) => ({
      updates: record.readDoubleLE(HEAD_BYTES + n * PART_BYTES),
      bytes: record.readDoubleLE(HEAD_BYTES + n * PART_BYTES + 8)
    })),
    ...(first !== 0 && { first }),
    ...(label !== '' && { label })
  }
  return { commit, length }
}

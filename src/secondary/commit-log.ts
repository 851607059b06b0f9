import fs from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { ioError, readIfThere, replaceFile, syncDirectory, writeFully } from './files.ts'

/**
 * Says which sets are whole, records of 56 bytes: a set is secured when its record is durable, not before and not otherwise.
 *
 *      0         4         8          16                  24         32        40            48
 *      +---------+---------+----------+-------------------+----------+---------+-------------+-----------+
 *      | magic   | crc32   | set      | consistency time  | updates  | bytes   | components  | first     |
 *      +---------+---------+----------+-------------------+----------+---------+-------------+-----------+
 *
 * `first`  the first set that is secured and applied together with it; 0: itself alone
 *
 * From `set` on float64 each; the checksum covers them. Records of applied sets are left out when the log is written anew.
 */
export interface Commit {
  readonly set: number
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly updates: number
  readonly bytes: number
  readonly components: number
  /** The first of the sets that are secured and applied as one, up to `set`; absent where it is alone. */
  readonly first?: number
}

/** 'TMK1', little-endian. */
const MAGIC = 0x314b4d54
const RECORD_BYTES = 56
const LARGEST_BYTES = 1 << 20

export interface CommitsFound {
  /** In order. */
  readonly commits: Commit[]
  /** A damaged record lies somewhere before that of this set; 0 for none. One at the end was never durable: nobody was told. */
  readonly damagedBefore: number
  /** Where the last valid record ends. */
  readonly end: number
}

export function readCommits(file: string): CommitsFound {
  let bytes: Buffer | null
  try {
    bytes = readIfThere(file)
  } catch (cause) {
    throw ioError('read', file, cause)
  }
  const commits: Commit[] = []
  let damaged = false
  let damagedBefore = 0
  let end = 0
  for (let at = 0; bytes !== null && at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const commit = decode(bytes.subarray(at, at + RECORD_BYTES))
    if (commit === null) {
      damaged = true
      continue
    }
    commits.push(commit)
    if (damaged) damagedBefore = commit.set
    damaged = false
    end = at + RECORD_BYTES
  }
  return { commits, damagedBefore, end }
}

export class CommitLog {
  private readonly file: string
  private readonly largest: number
  private fd: number
  private length: number
  /** Of sets that are not marked as applied. */
  private pending: Commit[]

  /** @param largestBytes  it is written anew when it is longer */
  constructor(file: string, largestBytes = LARGEST_BYTES) {
    this.file = file
    this.largest = largestBytes
    const { commits, end } = readCommits(file)
    this.pending = commits
    // An invalid record at the end was never durable: the next one takes its place.
    this.length = end
    try {
      this.fd = fs.openSync(file, 'r+')
      // A writer that died may have synced neither its last record nor the name of a log that it had written anew.
      fs.fdatasyncSync(this.fd)
      syncDirectory(path.dirname(file))
    } catch (cause) {
      throw ioError('open', file, cause)
    }
  }

  /** Durable when it returns. */
  append(commit: Commit): void {
    const record = encode(commit)
    try {
      writeFully(this.fd, record, 0, RECORD_BYTES, this.length)
    } catch (cause) {
      throw ioError('write', this.file, cause)
    }
    try {
      fs.fdatasyncSync(this.fd)
    } catch (cause) {
      throw ioError('sync', this.file, cause)
    }
    this.length += RECORD_BYTES
    this.pending.push(commit)
  }

  find(set: number): Commit | undefined {
    return this.pending.find((commit) => commit.set === set)
  }

  /** Sets up to it are durably marked as applied. */
  forget(upTo: number): void {
    this.pending = this.pending.filter((commit) => commit.set > upTo)
    if (this.length < this.largest) return
    try {
      replaceFile(this.file, Buffer.concat(this.pending.map(encode)))
      fs.closeSync(this.fd)
      this.fd = fs.openSync(this.file, 'r+')
    } catch (cause) {
      throw ioError('write anew', this.file, cause)
    }
    this.length = this.pending.length * RECORD_BYTES
  }

  close(): void {
    fs.closeSync(this.fd)
  }
}

function encode(commit: Commit): Buffer {
  const record = Buffer.alloc(RECORD_BYTES)
  const { set, time, updates, bytes, components, first = 0 } = commit
  for (const [n, value] of [set, time, updates, bytes, components, first].entries())
    record.writeDoubleLE(value, 8 + n * 8)
  record.writeUInt32LE(MAGIC, 0)
  record.writeUInt32LE(crc32(record.subarray(8)), 4)
  return record
}

function decode(record: Buffer): Commit | null {
  if (record.readUInt32LE(0) !== MAGIC || record.readUInt32LE(4) !== crc32(record.subarray(8))) return null
  const first = record.readDoubleLE(48)
  return {
    set: record.readDoubleLE(8),
    time: record.readDoubleLE(16),
    updates: record.readDoubleLE(24),
    bytes: record.readDoubleLE(32),
    components: record.readDoubleLE(40),
    ...(first !== 0 && { first })
  }
}

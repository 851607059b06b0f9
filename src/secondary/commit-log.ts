import fs from 'node:fs'
import path from 'node:path'
import { type Commit, encodeCommit, readRecord } from './commit-record.ts'
import { ioError, isNoSpace, readIfThere, replaceFile, syncDirectory, writeFully } from './files.ts'

export type { Commit, CommitPart } from './commit-record.ts'

/** Written anew when it is longer, and half of it is not needed any more. */
const LARGEST_BYTES = 1 << 20

export interface CommitsFound {
  /** In order. */
  readonly commits: Commit[]
  /** A damaged record lies somewhere before that of this set; 0 for none. One at the end was never durable: nobody was told. */
  readonly damagedBefore: number
  /** Every record is there twice, and nothing else. */
  readonly isWhole: boolean
  /** Sets of whose record one copy was damaged: read from the other. Not that of a last one that was cut short. */
  readonly repaired: readonly number[]
  /** Where the last one that can be read ends. */
  readonly end: number
}

export function readCommits(file: string): CommitsFound {
  let log: Buffer | null
  try {
    log = readIfThere(file)
  } catch (cause) {
    throw ioError('read', file, cause)
  }
  const commits: Commit[] = []
  let damagedBefore = 0
  let isWhole = true
  const repaired: number[] = []
  let end = 0
  const found = (whole: boolean): CommitsFound => ({ commits, damagedBefore, isWhole: whole, repaired, end })
  for (let at = 0; log !== null && at < log.length; at = end) {
    const record = readRecord(log, at)
    if (record === null) return found(false)
    commits.push(record.commit)
    if (record.followsDamage) damagedBefore = record.commit.set
    isWhole &&= record.damagedCopy === null && !record.followsDamage
    const isCutShort = record.damagedCopy === 2 && record.end >= log.length
    if (record.damagedCopy !== null && !isCutShort) repaired.push(record.commit.set)
    end = record.end
  }
  return found(isWhole)
}

/** The file holds these afterwards; after a crash, these or what it held before. */
export function writeCommits(file: string, commits: readonly Commit[]): void {
  try {
    replaceFile(file, Buffer.concat(commits.map(encodeCommit)))
  } catch (cause) {
    throw ioError('write anew', file, cause)
  }
}

/** What its writer, dead or killed, has written to the file and may not have synced: the name of the file, too. */
export function syncCommits(file: string): void {
  try {
    const fd = fs.openSync(file, 'r+')
    try {
      fs.fdatasyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
    syncDirectory(path.dirname(file))
  } catch (cause) {
    throw ioError('sync', file, cause)
  }
}

/** Says which sets are whole: a set is secured when its record is durable, not before and not otherwise. */
export class CommitLog {
  private readonly file: string
  private readonly largest: number
  private fd: number
  /** Of sets that are not marked as applied, and of those that are kept. In order. */
  private readonly kept: { readonly commit: Commit; readonly length: number }[] = []
  private length = 0
  /** Of the kept ones. */
  private keptLength = 0

  /** @param largestBytes  it is written anew when it is longer */
  constructor(file: string, largestBytes = LARGEST_BYTES) {
    this.file = file
    this.largest = largestBytes
    const { commits, isWhole, end } = readCommits(file)
    for (const commit of commits) this.keep(commit, encodeCommit(commit).length)
    this.length = end
    if (isWhole) syncCommits(file)
    else this.repair(commits)
    this.fd = this.open()
  }

  /**
   * One that is damaged gets its second copy back; what follows the last was never durable. Where the disk has no room that
   * can wait: each record can be read, and the next one is written behind the last.
   */
  private repair(commits: readonly Commit[]): void {
    try {
      writeCommits(this.file, commits)
      this.length = this.keptLength
    } catch (cause) {
      if (!isNoSpace(cause)) throw cause
      syncCommits(this.file)
    }
  }

  /** Durable when it returns. */
  append(commit: Commit): void {
    const record = encodeCommit(commit)
    try {
      writeFully(this.fd, record, 0, record.length, this.length)
    } catch (cause) {
      throw ioError('write', this.file, cause)
    }
    try {
      fs.fdatasyncSync(this.fd)
    } catch (cause) {
      throw ioError('sync', this.file, cause)
    }
    this.length += record.length
    this.keep(commit, record.length)
  }

  find(set: number): Commit | undefined {
    return this.kept.findLast(({ commit }) => commit.set === set)?.commit
  }

  /**
   * Sets up to it are durably marked as applied: their records may go.
   * @param keptFrom  those of this set and of later ones stay all the same
   */
  forget(upTo: number, keptFrom = Number.POSITIVE_INFINITY): void {
    for (let oldest = this.kept[0]; oldest !== undefined; oldest = this.kept[0]) {
      const { commit, length } = oldest
      if (commit.set > upTo || commit.set >= keptFrom) break
      this.kept.shift()
      this.keptLength -= length
    }
    // By half at least, so that long logs are not written anew for each set.
    if (this.length < this.largest || this.keptLength > this.length / 2) return
    const commits = this.kept.map(({ commit }) => commit)
    writeCommits(this.file, commits)
    fs.closeSync(this.fd)
    this.fd = this.open()
    this.length = this.keptLength
  }

  close(): void {
    fs.closeSync(this.fd)
  }

  private keep(commit: Commit, length: number): void {
    this.kept.push({ commit, length })
    this.keptLength += length
  }

  private open(): number {
    try {
      return fs.openSync(this.file, 'r+')
    } catch (cause) {
      throw ioError('open', this.file, cause)
    }
  }
}

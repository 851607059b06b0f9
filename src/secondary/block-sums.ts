import fs from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { TidemarkError } from '../errors.ts'
import { errnoOf, ioError, openingError, readFully, syncDirectory, writeFully } from './files.ts'
import type { StoreVolume } from './images.ts'

/**
 * What each block of each secondary volume is to be: one file of checksums, 4 bytes for each 4 KiB.
 *
 *      0              4096 n             file
 *      +--------------+------------------+---    a region for each volume, in the order of the names of their images,
 *      | a.img        | b.img            |       each from a multiple of 4096 bytes on
 *      +--------------+------------------+---
 *        0    4    8
 *        +----+----+----                         in it uint32, little-endian, one for each block; the last block of a
 *        | s0 | s1 | s2 ..                       volume ends where the volume does
 *        +----+----+----
 *
 * A sum is the block's crc32, xor that of as many zeros: 0 says that it reads as zeros, and a file with holes is the table
 * of a volume with holes. A crc32 is linear, so that for blocks of one length
 *
 *      sum(a) xor sum(b) = sum(a xor b)
 *
 * by which damage in a block that is written in part can be kept known (sum-keeper.ts).
 */
export const SUM_BLOCK_BYTES = 4096
const SUM_BYTES = 4
const REGION_ALIGNMENT = 4096
/** Sums are read and written by the page: no two volumes share one, so components do not meet in it. */
const PAGE_SUMS = REGION_ALIGNMENT / SUM_BYTES
/** Of sums that are cleared at once: of a GiB. */
const CLEARED_BYTES = 1 << 20

const zeroBlock = Buffer.alloc(SUM_BLOCK_BYTES)
const ZERO_BLOCK_CRC = crc32(zeroBlock)

/** @param length  of the block: 4096, or less where the volume ends in it */
export function sumOf(bytes: Buffer, at: number, length: number): number {
  const ofZeros = length === SUM_BLOCK_BYTES ? ZERO_BLOCK_CRC : crc32(zeroBlock.subarray(0, length))
  return (crc32(bytes.subarray(at, at + length)) ^ ofZeros) >>> 0
}

export function blocksOf(volumeBytes: number): number {
  return Math.ceil(volumeBytes / SUM_BLOCK_BYTES)
}

export class BlockSums {
  private readonly file: string
  private readonly fd: number
  private readonly regions: Float64Array
  private readonly page = new Uint32Array(PAGE_SUMS)
  private readonly pageBytes = new Uint8Array(this.page.buffer)
  /** Where the page in hand lies in the file; -1: there is none. */
  private pageAt = -1
  private pageChanged = false
  /**
   * At first as well: a writer that died may have written, and not synced, the very sums that are set again now, which then
   * change nothing.
   */
  private unsynced = true
  private broken: unknown = null
  private readonly cleared = Buffer.alloc(CLEARED_BYTES)

  private constructor(file: string, fd: number, regions: Float64Array) {
    this.file = file
    this.fd = fd
    this.regions = regions
  }

  /** For volumes that read as zeros. */
  static create(file: string, volumes: readonly StoreVolume[]): void {
    try {
      const fd = fs.openSync(file, 'w')
      try {
        fs.ftruncateSync(fd, regionsOf(volumes).length)
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
      syncDirectory(path.dirname(file))
    } catch (cause) {
      throw ioError('make', file, cause)
    }
  }

  /** Null when there is none: the directory was made before there were any, and they are made when it is next opened. */
  static open(file: string, volumes: readonly StoreVolume[], access: 'read' | 'write'): BlockSums | null {
    const { starts, length } = regionsOf(volumes)
    let fd = -1
    try {
      fd = fs.openSync(file, access === 'read' ? 'r' : 'r+')
      const { size } = fs.fstatSync(fd)
      if (size === length) return new BlockSums(file, fd, starts)
      const message = `${file} is ${size} bytes long, not ${length}: remove it, and checksums of the images as they are will be made`
      throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: file, size, expected: length })
    } catch (cause) {
      if (fd >= 0) fs.closeSync(fd)
      if (errnoOf(cause) === 'ENOENT') return null
      throw openingError('open', file, cause)
    }
  }

  get(volume: number, block: number): number {
    return this.page[this.turnTo(volume, block)] as number
  }

  /** In the file when another page is turned to, or at `flush`. */
  set(volume: number, block: number, sum: number): void {
    const at = this.turnTo(volume, block)
    if (this.page[at] === sum) return
    this.page[at] = sum
    this.pageChanged = true
  }

  /** Some of these blocks read as zeros now. Returns how many were done; what says so already is left: holes stay. */
  clear(volume: number, first: number, count: number): number {
    this.flush()
    this.forget()
    const done = Math.min(count, CLEARED_BYTES / SUM_BYTES)
    const at = (this.regions[volume] as number) + first * SUM_BYTES
    const length = done * SUM_BYTES
    try {
      readFully(this.fd, this.cleared, 0, length, at)
      const sums = new Uint32Array(this.cleared.buffer, this.cleared.byteOffset, done)
      if (sums.some((sum) => sum !== 0)) {
        writeFully(this.fd, this.cleared.fill(0, 0, length), 0, length, at)
        this.unsynced = true
      }
    } catch (cause) {
      throw ioError('write', this.file, cause)
    }
    return done
  }

  flush(): void {
    if (!this.pageChanged) return
    try {
      writeFully(this.fd, this.pageBytes, 0, REGION_ALIGNMENT, this.pageAt)
    } catch (cause) {
      throw ioError('write', this.file, cause)
    }
    this.pageChanged = false
    this.unsynced = true
  }

  /** A reader looks at the file again: someone else may write to it. */
  forget(): void {
    this.pageAt = -1
  }

  /** What was set is on the disk when it returns. */
  sync(): void {
    this.flush()
    if (this.broken !== null) throw this.broken
    if (!this.unsynced) return
    try {
      fs.fdatasyncSync(this.fd)
    } catch (cause) {
      // What was not written may be dropped from the system's cache: asking again would say that all is well.
      this.broken = ioError('sync', this.file, cause)
      throw this.broken
    }
    this.unsynced = false
  }

  close(): void {
    fs.closeSync(this.fd)
  }

  /** The place in the page in hand. */
  private turnTo(volume: number, block: number): number {
    const at = (this.regions[volume] as number) + block * SUM_BYTES
    const pageAt = at - (at % REGION_ALIGNMENT)
    if (pageAt !== this.pageAt) {
      this.flush()
      this.pageAt = -1
      try {
        readFully(this.fd, this.pageBytes, 0, REGION_ALIGNMENT, pageAt)
      } catch (cause) {
        throw ioError('read', this.file, cause)
      }
      this.pageAt = pageAt
    }
    return (at - pageAt) / SUM_BYTES
  }
}

/** By the names of images, which are unique: the order of volumes may be another one when the directory is opened again. */
function regionsOf(volumes: readonly StoreVolume[]): { starts: Float64Array; length: number } {
  const names = volumes.map((volume) => path.basename(volume.path))
  const order = [...volumes.keys()].sort((a, b) => ((names[a] as string) < (names[b] as string) ? -1 : 1))
  const starts = new Float64Array(volumes.length)
  let length = 0
  for (const volume of order) {
    starts[volume] = length
    const bytes = blocksOf((volumes[volume] as StoreVolume).size) * SUM_BYTES
    length += Math.ceil(bytes / REGION_ALIGNMENT) * REGION_ALIGNMENT
  }
  return { starts, length }
}

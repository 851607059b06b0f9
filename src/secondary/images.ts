import fs from 'node:fs'
import { TidemarkError } from '../errors.ts'
import { ioError, readFully, writeFully } from './files.ts'
import { isZeros, ZERO_BYTES, zerosOf } from './zeros.ts'

export interface StoreVolume {
  readonly path: string
  readonly size: number
}

/** The secondary volumes' files, opened as they are first written to. */
export class Images {
  private readonly volumes: readonly StoreVolume[]
  private readonly files: Int32Array
  private readonly dirty: Uint8Array
  private broken: unknown = null
  private readonly before = Buffer.alloc(ZERO_BYTES)

  constructor(volumes: readonly StoreVolume[]) {
    this.volumes = volumes
    this.files = new Int32Array(volumes.length).fill(-1)
    this.dirty = new Uint8Array(volumes.length)
  }

  write(volume: number, offset: number, from: Uint8Array, at: number, length: number): void {
    this.check(volume, offset, length)
    try {
      writeFully(this.file(volume), from, at, length, offset)
    } catch (cause) {
      throw ioError('write', this.pathOf(volume), cause)
    }
  }

  /** Into the beginning of a buffer. */
  read(volume: number, offset: number, into: Uint8Array, length: number): void {
    this.check(volume, offset, length)
    let got = 0
    try {
      got = readFully(this.fileOf(volume), into, 0, length, offset)
    } catch (cause) {
      throw ioError('read', this.pathOf(volume), cause)
    }
    if (got === length) return
    const message = `${this.pathOf(volume)} ends at ${offset + got}, within its volume`
    throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: this.pathOf(volume), position: offset + got })
  }

  /**
   * At most 1 MiB of zeros. Node.js can neither punch holes nor ask for them, so what reads as zeros already is left: a
   * sparse image that is trimmed stays sparse.
   */
  zero(volume: number, offset: number, length: number): number {
    this.check(volume, offset, length)
    const part = Math.min(length, ZERO_BYTES)
    try {
      const fd = this.file(volume)
      readFully(fd, this.before, 0, part, offset)
      if (!isZeros(this.before, 0, part)) writeFully(fd, zerosOf(part), 0, part, offset)
    } catch (cause) {
      throw ioError('write zeros to', this.pathOf(volume), cause)
    }
    return part
  }

  /** Makes one of the images that were written to durable. False when there is none. */
  syncNext(): boolean {
    if (this.broken !== null) throw this.broken
    const volume = this.dirty.indexOf(1)
    if (volume < 0) return false
    try {
      fs.fdatasyncSync(this.file(volume))
    } catch (cause) {
      // What was not written may be dropped from the system's cache: asking again would say that all is well.
      this.broken = ioError('sync', this.pathOf(volume), cause)
      throw this.broken
    }
    this.dirty[volume] = 0
    return true
  }

  close(): void {
    for (const fd of this.files) if (fd >= 0) fs.closeSync(fd)
    this.files.fill(-1)
  }

  /** To write to it. */
  private file(volume: number): number {
    this.dirty[volume] = 1
    return this.fileOf(volume)
  }

  private fileOf(volume: number): number {
    let fd = this.files[volume] as number
    if (fd < 0) {
      fd = fs.openSync(this.pathOf(volume), 'r+')
      this.files[volume] = fd
    }
    return fd
  }

  private pathOf(volume: number): string {
    return (this.volumes[volume] as StoreVolume).path
  }

  /** An image must stay exactly as long as its volume, whatever a damaged or forged journal says. */
  private check(volume: number, offset: number, length: number): void {
    const size = this.volumes[volume]?.size ?? -1
    if (offset >= 0 && length >= 0 && offset + length <= size) return
    const message = `${length} bytes at ${offset} are not in volume ${volume} of ${size} bytes`
    throw new TidemarkError('TIDEMARK_CORRUPT', message, { volume, offset, length, size })
  }
}

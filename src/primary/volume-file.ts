import fs from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { TidemarkError } from '../errors.ts'
import { ioError, openingError, writeHandle } from '../secondary/files.ts'
import { isZeros, ZERO_BYTES, zerosOf } from '../secondary/zeros.ts'

/** What a primary file is read, written and synced by. */
export interface VolumeDisk {
  read(into: Uint8Array, offset: number): Promise<void>
  write(bytes: Uint8Array, offset: number): Promise<void>
  zero(offset: number, length: number): Promise<void>
  /** All writes that had ended before the call are on the disk when it resolves. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** The file of a primary volume: complete reads and writes, syncs for all who ask meanwhile, errors that say what to do. */
export class VolumeFile implements VolumeDisk {
  readonly path: string
  private readonly handle: FileHandle
  private syncing: Promise<void> | undefined
  private nextSync: Promise<void> | undefined

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.handle = handle
  }

  /** @throws TidemarkError TIDEMARK_OPTIONS, TIDEMARK_MISMATCH */
  static async open(path: string, size: number): Promise<VolumeFile> {
    let handle: FileHandle
    try {
      const stat = await fs.promises.stat(path)
      if (!stat.isFile()) throw new TidemarkError('TIDEMARK_OPTIONS', `${path} is not a regular file`, { path })
      if (stat.size !== size) {
        const message = `${path} is ${stat.size} bytes long, its volume ${size}`
        throw new TidemarkError('TIDEMARK_MISMATCH', message, { path, size: stat.size, expected: size })
      }
      handle = await fs.promises.open(path, 'r+')
    } catch (cause) {
      throw openingError('open the primary file', path, cause)
    }
    return new VolumeFile(path, handle)
  }

  /** Who it is for the file system, and when it was last changed. */
  async facts(): Promise<{ inode: number; changedAtMs: number }> {
    const { ino, mtimeMs } = await this.handle.stat()
    return { inode: ino, changedAtMs: mtimeMs }
  }

  async read(into: Uint8Array, offset: number): Promise<void> {
    try {
      for (let done = 0; done < into.length; ) {
        const { bytesRead } = await this.handle.read(into, done, into.length - done, offset + done)
        if (bytesRead === 0) throw this.tooShort(offset + done)
        done += bytesRead
      }
    } catch (cause) {
      throw ioError('read', this.path, cause)
    }
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      await writeHandle(this.handle, bytes, offset)
    } catch (cause) {
      throw ioError('write', this.path, cause)
    }
  }

  /** Node.js cannot punch holes: what reads as zeros already is left, so that a sparse file stays sparse. */
  async zero(offset: number, length: number): Promise<void> {
    const before = Buffer.allocUnsafe(Math.min(length, ZERO_BYTES))
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, ZERO_BYTES)
      await this.read(before.subarray(0, part), offset + done)
      if (!isZeros(before, 0, part)) await this.write(zerosOf(part), offset + done)
      done += part
    }
  }

  /** One that is under way may have begun before the last write had ended: who comes meanwhile gets the next one. */
  sync(): Promise<void> {
    this.nextSync ??= this.syncNext()
    return this.nextSync
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.syncing, this.nextSync])
    await this.handle.close()
  }

  private async syncNext(): Promise<void> {
    await this.syncing?.catch(() => {})
    this.nextSync = undefined
    const syncing = this.handle.datasync()
    this.syncing = syncing
    try {
      await syncing
    } catch (cause) {
      throw ioError('sync', this.path, cause)
    } finally {
      if (this.syncing === syncing) this.syncing = undefined
    }
  }

  private tooShort(at: number): TidemarkError {
    return new TidemarkError('TIDEMARK_CORRUPT', `${this.path} has become shorter: it ends at ${at}`, {
      path: this.path,
      position: at
    })
  }
}

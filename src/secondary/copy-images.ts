import fs from 'node:fs'
import { ioError, writeHandle } from './files.ts'
import { type Format, imagePath, type Layout } from './format.ts'
import type { StoreVolume } from './images.ts'
import type { RestoreTarget } from './restore-target.ts'
import { isZeros } from './zeros.ts'

const CHUNK_BYTES = 1 << 20
/** Blocks of this size that hold nothing but zeros are left as holes. */
const HOLE_BYTES = 1 << 16

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined
  /** Bytes of the image that are done since the last call. */
  readonly onProgress?: (bytes: number) => void
}

/**
 * Copies all images, also while they are being written, as far as that can be copied.
 * @returns the copies, by volume
 */
export async function copyImages(
  layout: Layout,
  format: Format,
  target: RestoreTarget,
  options: CopyOptions
): Promise<StoreVolume[]> {
  const copies: StoreVolume[] = []
  for (const volume of format.volumes) {
    const to = target.add(`${volume.target}.img`)
    await copyImage(imagePath(layout, volume), to, volume.size, options)
    copies.push({ path: to, size: volume.size })
  }
  return copies
}

/** Into an empty file, sparse. As a clone where the file system has them: that takes no space and no time. */
async function copyImage(from: string, to: string, size: number, options: CopyOptions): Promise<void> {
  if (await clone(from, to)) {
    options.onProgress?.(size)
    return
  }
  const source = await open(from, 'r', 'open')
  try {
    const target = await open(to, 'w', 'make')
    try {
      await copyBytes(source, target, { from, to, size }, options)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function clone(from: string, to: string): Promise<boolean> {
  try {
    await fs.promises.copyFile(from, to, fs.constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    // Not there, or not on this file system: whatever else it was will be met again.
    return false
  }
}

async function open(file: string, flags: string, action: string): Promise<fs.promises.FileHandle> {
  try {
    return await fs.promises.open(file, flags)
  } catch (cause) {
    throw ioError(action, file, cause)
  }
}

async function copyBytes(
  source: fs.promises.FileHandle,
  target: fs.promises.FileHandle,
  { from, to, size }: { from: string; to: string; size: number },
  { signal, onProgress }: CopyOptions
): Promise<void> {
  const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size))
  for (let at = 0; at < size; ) {
    signal?.throwIfAborted()
    let got = 0
    try {
      got = (await source.read(chunk, 0, Math.min(chunk.length, size - at), at)).bytesRead
    } catch (cause) {
      throw ioError('read', from, cause)
    }
    if (got === 0) break
    try {
      await writeData(target, chunk.subarray(0, got), at)
    } catch (cause) {
      throw ioError('write', to, cause)
    }
    at += got
    onProgress?.(got)
  }
  try {
    await target.truncate(size)
  } catch (cause) {
    throw ioError('write', to, cause)
  }
}

/** What holds data of the chunk, in as few writes as that takes. */
async function writeData(target: fs.promises.FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    let end = at
    while (end < chunk.length && !isHole(chunk, end)) end = Math.min(chunk.length, end + HOLE_BYTES)
    await writeHandle(target, chunk.subarray(at, end), position + at)
    at = end + HOLE_BYTES
  }
}

function isHole(chunk: Buffer, at: number): boolean {
  return isZeros(chunk, at, Math.min(chunk.length, at + HOLE_BYTES))
}

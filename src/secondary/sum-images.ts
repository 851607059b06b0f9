import fs from 'node:fs'
import path from 'node:path'
import { BlockSums, blocksOf, SUM_BLOCK_BYTES, sumOf } from './block-sums.ts'
import { ioError, readFully, syncDirectory } from './files.ts'
import type { StoreVolume } from './images.ts'

const READ_BYTES = 1 << 20

/**
 * Makes the checksums of a directory that has none, since it was made before there were any (or they were removed because
 * they were damaged): the images are taken for right as they are. Reads all of them. The caller holds the lock, and no set
 * is half applied.
 */
export function sumImagesIfMissing(file: string, volumes: readonly StoreVolume[], signal?: AbortSignal): void {
  if (fs.existsSync(file)) return
  const unfinished = `${file}.new`
  BlockSums.create(unfinished, volumes)
  const sums = BlockSums.open(unfinished, volumes, 'write') as BlockSums
  try {
    for (const [n, volume] of volumes.entries()) sumImage(sums, n, volume, signal)
    sums.sync()
  } finally {
    sums.close()
  }
  try {
    fs.renameSync(unfinished, file)
    syncDirectory(path.dirname(file))
  } catch (cause) {
    throw ioError('rename', unfinished, cause)
  }
}

function sumImage(sums: BlockSums, n: number, { path: image, size }: StoreVolume, signal?: AbortSignal): void {
  const buffer = Buffer.alloc(READ_BYTES)
  const blocksRead = READ_BYTES / SUM_BLOCK_BYTES
  const fd = fs.openSync(image, 'r')
  try {
    for (let first = 0; first < blocksOf(size); first += blocksRead) {
      signal?.throwIfAborted()
      const length = readFully(fd, buffer, 0, READ_BYTES, first * SUM_BLOCK_BYTES)
      for (let at = 0; at < length; at += SUM_BLOCK_BYTES) {
        sums.set(n, first + at / SUM_BLOCK_BYTES, sumOf(buffer, at, Math.min(SUM_BLOCK_BYTES, length - at)))
      }
    }
  } catch (cause) {
    throw ioError('read', image, cause)
  } finally {
    fs.closeSync(fd)
  }
}

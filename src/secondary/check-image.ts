import fs from 'node:fs'
import { type BlockSums, blocksOf, SUM_BLOCK_BYTES, sumOf } from './block-sums.ts'
import { errnoOf, openingError, readFully } from './files.ts'
import type { StoreVolume } from './images.ts'

/** Blocks of a volume that follow each other. */
export interface BlockRange {
  readonly first: number
  readonly count: number
}

const READ_BYTES = 1 << 20
const READ_BLOCKS = READ_BYTES / SUM_BLOCK_BYTES

/** Which of these blocks are not what the checksums say. What the image has not, is not. */
export function differingBlocks(
  sums: BlockSums,
  n: number,
  volume: StoreVolume,
  ranges: readonly BlockRange[]
): BlockRange[] {
  const differing: BlockRange[] = []
  let fd = -1
  try {
    fd = fs.openSync(volume.path, 'r')
    for (const { first, count } of ranges) compareRange(sums, n, volume, fd, first, count, differing)
  } catch (cause) {
    // Told by its length.
    if (errnoOf(cause) === 'ENOENT') return []
    throw openingError('read', volume.path, cause)
  } finally {
    if (fd >= 0) fs.closeSync(fd)
  }
  return differing
}

function compareRange(
  sums: BlockSums,
  n: number,
  { size }: StoreVolume,
  fd: number,
  first: number,
  count: number,
  differing: BlockRange[]
): void {
  const buffer = Buffer.alloc(Math.min(READ_BLOCKS, count) * SUM_BLOCK_BYTES)
  const end = Math.min(first + count, blocksOf(size))
  for (let from = first; from < end; from += READ_BLOCKS) {
    const to = Math.min(end, from + READ_BLOCKS)
    const at = from * SUM_BLOCK_BYTES
    const length = Math.min((to - from) * SUM_BLOCK_BYTES, size - at)
    const got = readFully(fd, buffer, 0, length, at)
    // Anew for each piece: a writer may have been there.
    sums.forget()
    for (let block = from; block < to; block++) {
      const place = (block - from) * SUM_BLOCK_BYTES
      const blockBytes = Math.min(SUM_BLOCK_BYTES, length - place)
      if (place + blockBytes > got || sumOf(buffer, place, blockBytes) !== sums.get(n, block))
        addBlock(differing, block)
    }
  }
}

function addBlock(ranges: BlockRange[], block: number): void {
  const last = ranges.at(-1)
  if (last !== undefined && last.first + last.count === block) {
    ranges[ranges.length - 1] = { first: last.first, count: last.count + 1 }
  } else {
    ranges.push({ first: block, count: 1 })
  }
}

/** `ranges` without what `keeps` does not want. */
export function filterBlocks(ranges: readonly BlockRange[], keeps: (block: number) => boolean): BlockRange[] {
  const kept: BlockRange[] = []
  for (const { first, count } of ranges) {
    for (let block = first; block < first + count; block++) if (keeps(block)) addBlock(kept, block)
  }
  return kept
}

import { type FileHandle, open } from 'node:fs/promises'
import type { PrimarySource } from '../index.ts'
import type { DemoVolume } from './demo-volumes.ts'
import type { Interruption } from './interruption.ts'

const UPDATE_BYTES = 64 * 1024

/** How many updates the files go in as. An empty file is one update of no bytes. */
export function updatesOf(volumes: readonly DemoVolume[]): number {
  return volumes.reduce((sum, { bytes }) => sum + Math.max(1, Math.ceil(bytes / UPDATE_BYTES)), 0)
}

/**
 * All sources write at once, each its share of the blocks of every file. Resolves when all is acknowledged, or early when
 * it is interrupted.
 * @param afterUpdate  awaited after each update that has gone in
 */
export async function replicate(
  sources: readonly PrimarySource[],
  volumes: readonly DemoVolume[],
  interruption: Interruption,
  afterUpdate: () => Promise<void>
): Promise<void> {
  for (const volume of volumes) {
    const file = await open(volume.file)
    const writeShare = async (source: PrimarySource, share: number): Promise<void> => {
      const writer = source.volume(volume.name)
      const block = Buffer.alloc(UPDATE_BYTES)
      for (const offset of offsetsOf(volume, share, sources.length)) {
        if (interruption.asked) return
        const data = await readBlock(file, volume, offset, block)
        while (!writer.tryPost(offset, data)) await writer.ready(data.length)
        await afterUpdate()
      }
    }
    try {
      await Promise.all(sources.map(writeShare))
    } finally {
      await file.close()
    }
  }
  await Promise.all(sources.map((source) => source.flush()))
}

function* offsetsOf(volume: DemoVolume, share: number, shares: number): Generator<number> {
  if (volume.bytes === 0 && share === 0) yield 0
  for (let offset = share * UPDATE_BYTES; offset < volume.bytes; offset += shares * UPDATE_BYTES) yield offset
}

async function readBlock(file: FileHandle, volume: DemoVolume, offset: number, block: Buffer): Promise<Buffer> {
  const length = Math.min(UPDATE_BYTES, volume.bytes - offset)
  if (length === 0) return block.subarray(0, 0)
  const { bytesRead } = await file.read(block, 0, length, offset)
  if (bytesRead === 0) throw new Error(`${volume.file} became shorter while it was read`)
  return block.subarray(0, bytesRead)
}

import fs from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { errnoOf, ioError, openingError, replaceFile, writeHandle } from '../secondary/files.ts'
import { type ActivityRecord, decode, encode, SLOT_BYTES } from './activity-record.ts'

/**
 * Four slots; each record is written to two of them, the next one to the other two. So the last durable record stays whole
 * while the next one is written, and a byte that is flipped later does not bring back the one before: its second copy counts.
 *
 *      0       4096    8192    12288
 *      +-------+-------+-------+-------+
 *      | pair 0: twice | pair 1: twice |
 *      +-------+-------+-------+-------+
 */
const STRIDE = 4096
const PAIR_BYTES = STRIDE + SLOT_BYTES
const FILE_BYTES = 4 * STRIDE

export interface FoundRecord {
  readonly record: ActivityRecord
  readonly generation: number
  readonly pair: number
}

/** What keeps the log's records durably. One call at a time. */
export interface ActivityDisk {
  /** On the disk when it resolves; until then either this one or the one before may be found. */
  write(record: ActivityRecord): Promise<void>
  close(): Promise<void>
}

export class ActivityFile implements ActivityDisk {
  private readonly path: string
  private readonly handle: FileHandle
  private generation: number
  private pair: number

  private constructor(path: string, handle: FileHandle, found: FoundRecord) {
    this.path = path
    this.handle = handle
    this.generation = found.generation
    this.pair = found.pair
  }

  /** Begins anew with this record, whatever there was. */
  static async create(path: string, record: ActivityRecord): Promise<ActivityFile> {
    const image = Buffer.alloc(FILE_BYTES)
    image.set(pairOf(record, 1))
    try {
      replaceFile(path, image)
      return new ActivityFile(path, await fs.promises.open(path, 'r+'), { record, generation: 1, pair: 0 })
    } catch (cause) {
      throw openingError('make', path, cause)
    }
  }

  /** Null when there is none; `found` is null when no slot of it is valid. */
  static async open(
    path: string
  ): Promise<{ found: FoundRecord | null; go(): ActivityFile; close(): Promise<void> } | null> {
    let handle: FileHandle
    try {
      handle = await fs.promises.open(path, 'r+')
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return null
      throw openingError('open', path, cause)
    }
    try {
      // Its writer may have died before the newest record was synced. The next one goes over the other pair.
      await handle.datasync()
      const image = Buffer.alloc(FILE_BYTES)
      await handle.read(image, 0, FILE_BYTES, 0)
      const found = newest(image, path)
      const go = (): ActivityFile => new ActivityFile(path, handle, found as FoundRecord)
      return { found, go, close: () => handle.close() }
    } catch (cause) {
      await handle.close()
      throw openingError('read', path, cause)
    }
  }

  async write(record: ActivityRecord): Promise<void> {
    const pair = 1 - this.pair
    const bytes = pairOf(record, this.generation + 1)
    try {
      await writeHandle(this.handle, bytes, pair * 2 * STRIDE)
      await this.handle.datasync()
    } catch (cause) {
      throw ioError('write', this.path, cause)
    }
    this.generation++
    this.pair = pair
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}

/** The newest valid record. @throws TidemarkError TIDEMARK_VERSION */
export function newest(image: Buffer, path: string): FoundRecord | null {
  let best: FoundRecord | null = null
  for (let slot = 0; slot < 4; slot++) {
    const found = decode(image.subarray(slot * STRIDE, slot * STRIDE + SLOT_BYTES), path)
    if (found === null || (best !== null && best.generation >= found.generation)) continue
    best = { ...found, pair: slot >>> 1 }
  }
  return best
}

export function pairOf(record: ActivityRecord, generation: number): Buffer {
  const bytes = Buffer.alloc(PAIR_BYTES)
  const slot = encode(record, generation)
  bytes.set(slot, 0)
  bytes.set(slot, STRIDE)
  return bytes
}

import fs from 'node:fs'
import { crc32 } from 'node:zlib'
import { TidemarkError } from '../errors.ts'
import { ioError, readFully, replaceFile, writeFully } from './files.ts'

/**
 * A few numbers that survive a crash at any moment, and that other processes may read while they are written.
 *
 *      0       4096    8192
 *      +-------+-------+-------+      0  magic (uint32)   4  crc32 of the slot from byte 8 on (uint32)
 *      |   0   |   1   |   2   |      8  generation (float64)   16  values (float64 each), NaN for none
 *      +-------+-------+-------+
 *
 * Each write has the next generation; the valid slot with the highest one counts. Durable writes alternate between slots 0
 * and 1, so the one before stays whole until this one is on the disk. Writes that need only be *seen* (by readers on this
 * machine) go to slot 2: put elsewhere, two of them in a row could tear both durable slots when the power fails.
 * One writer at a time.
 */
const SLOT_STRIDE = 4096
const SLOT_BYTES = 512
const SLOTS = 3
const FILE_BYTES = SLOT_STRIDE * (SLOTS - 1) + SLOT_BYTES
const VISIBLE_SLOT = 2
const HEADER_FLOATS = 2
/** A reader meets a slot that is being written once in a very long while; a slot that stays torn is a crash's. */
const READ_TRIES = 64

interface Found {
  readonly generation: number
  readonly durable: number
  readonly values: number[]
}

export class SlotFile {
  private readonly file: string
  private readonly fd: number
  private readonly magic: number
  private readonly count: number
  private readonly slot = new Float64Array(SLOT_BYTES / 8)
  private readonly slotBytes = new Uint8Array(this.slot.buffer)
  private generation = 0
  /** The durable slot that holds the last durable write. */
  private durable = 0

  private constructor(file: string, fd: number, magic: number, count: number) {
    this.file = file
    this.fd = fd
    this.magic = magic
    this.count = count
  }

  static create(file: string, magic: number, values: readonly number[]): void {
    const image = new Uint8Array(FILE_BYTES)
    const slot = new Float64Array(SLOT_BYTES / 8)
    fill(slot, magic, 1, values)
    image.set(new Uint8Array(slot.buffer))
    replaceFile(file, image)
  }

  /** @param count  how many values it holds */
  static open(file: string, magic: number, count: number, access: 'read' | 'write'): SlotFile {
    let fd = -1
    try {
      fd = fs.openSync(file, access === 'read' ? 'r' : 'r+')
      const opened = new SlotFile(file, fd, magic, count)
      if (access === 'write') {
        // A writer may have died before it had synced the newest slot. The next write goes over the other one, so this one
        // must be durable before.
        fs.fdatasyncSync(fd)
        opened.read()
      }
      return opened
    } catch (cause) {
      if (fd >= 0) fs.closeSync(fd)
      throw ioError('open', file, cause)
    }
  }

  /**
   * Read twice until both agree: between the slots of one read the writer may have been twice, so that the newest one
   * read is older than what could be seen before.
   */
  read(): number[] {
    let before = this.readOnce()
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const found = this.readOnce()
      if (found !== null && before !== null && found.generation === before.generation) {
        this.generation = found.generation
        this.durable = found.durable
        return found.values
      }
      before = found
    }
    throw new TidemarkError('TIDEMARK_CORRUPT', `${this.file} has no valid slot: it was damaged`, { path: this.file })
  }

  /** On the disk when it returns. */
  writeDurable(values: readonly number[]): void {
    const target = 1 - this.durable
    this.write(target, values)
    try {
      fs.fdatasyncSync(this.fd)
    } catch (cause) {
      throw ioError('sync', this.file, cause)
    }
    this.durable = target
  }

  /** Seen by readers when it returns; after a crash it may not have happened. */
  writeVisible(values: readonly number[]): void {
    this.write(VISIBLE_SLOT, values)
  }

  close(): void {
    fs.closeSync(this.fd)
  }

  private write(slot: number, values: readonly number[]): void {
    fill(this.slot, this.magic, this.generation + 1, values)
    try {
      writeFully(this.fd, this.slotBytes, 0, SLOT_BYTES, slot * SLOT_STRIDE)
    } catch (cause) {
      throw ioError('write', this.file, cause)
    }
    this.generation++
  }

  private readOnce(): Found | null {
    const image = Buffer.alloc(FILE_BYTES)
    try {
      readFully(this.fd, image, 0, FILE_BYTES, 0)
    } catch (cause) {
      throw ioError('read', this.file, cause)
    }
    let newest: { generation: number; values: number[] } | null = null
    let durable = 0
    let durableGeneration = 0
    for (let slot = 0; slot < SLOTS; slot++) {
      const bytes = image.subarray(slot * SLOT_STRIDE, slot * SLOT_STRIDE + SLOT_BYTES)
      if (bytes.readUInt32LE(0) !== this.magic || bytes.readUInt32LE(4) !== crc32(bytes.subarray(8))) continue
      const generation = bytes.readDoubleLE(8)
      if (slot !== VISIBLE_SLOT && generation > durableGeneration) {
        durable = slot
        durableGeneration = generation
      }
      if (newest !== null && newest.generation >= generation) continue
      const values = Array.from({ length: this.count }, (_, n) => bytes.readDoubleLE((HEADER_FLOATS + n) * 8))
      newest = { generation, values }
    }
    return newest === null ? null : { ...newest, durable }
  }
}

function fill(slot: Float64Array, magic: number, generation: number, values: readonly number[]): void {
  slot.fill(0)
  slot[1] = generation
  for (let n = 0; n < values.length; n++) slot[HEADER_FLOATS + n] = values[n] as number
  const words = new Uint32Array(slot.buffer)
  words[0] = magic
  words[1] = crc32(new Uint8Array(slot.buffer, 8))
}

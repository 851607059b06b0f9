import fs from 'node:fs'
import { TidemarkError } from '../errors.ts'
import { BLOCK_ENTRY_BYTES, ENTRY_ZERO, KIND_BEGIN, KIND_END } from './block.ts'
import { ioError, readFully } from './files.ts'
import type { Journal } from './journal.ts'
import { type Block, listSegments, readBlock } from './journal-reader.ts'

/** The spool is written as one journal, of a component by this number. */
export const SPOOL_COMPONENT = 0

/**
 * Reads one set from the spool, block by block, each checked, and puts what one secondary component keeps of it into that
 * component's own journal. The spool has told that the set is whole: whatever is wrong with it is damage.
 */
export class KeptSetReader {
  private readonly set: number
  private readonly keeps: ReadonlySet<number>
  private readonly path: string
  private readonly fd: number
  private readonly size: number
  private position: number
  private block: Block | null = null
  private data: Buffer = Buffer.alloc(0)
  /** In the block: the next update, and where its data are. */
  private row = 0
  private dataAt = 0
  private updates = 0
  private done = false

  /** @param keeps  volumes */
  constructor(directory: string, set: number, keeps: ReadonlySet<number>) {
    this.set = set
    this.keeps = keeps
    const { path, fd, position } = findPart(directory, set)
    this.path = path
    this.fd = fd
    this.position = position
    this.size = fs.fstatSync(fd).size
  }

  /** One block. True when that was the last. One that the journal had no room for is gone on with. */
  takeSome(journal: Journal): boolean {
    if (this.done) return true
    const block = this.block ?? this.readNext()
    if (block.kind === KIND_END) {
      if (block.updates !== this.updates)
        throw this.damaged(`ends with ${block.updates} updates, ${this.updates} found`)
      this.done = true
      return true
    }
    for (; this.row < block.updates; this.row++) this.takeRow(journal, block.entries)
    this.updates += block.updates
    this.block = null
    return false
  }

  close(): void {
    fs.closeSync(this.fd)
  }

  private takeRow(journal: Journal, entries: Buffer): void {
    const at = this.row * BLOCK_ENTRY_BYTES
    const volume = entries.readUInt32LE(at)
    const zero = (entries.readUInt32LE(at + 4) & ENTRY_ZERO) !== 0
    const offset = entries.readDoubleLE(at + 8)
    const length = entries.readDoubleLE(at + 16)
    if (this.keeps.has(volume)) {
      journal.add(volume, zero, offset, length, entries.readDoubleLE(at + 24), this.data, this.dataAt)
    }
    if (!zero) this.dataAt += length
  }

  private readNext(): Block {
    const block = readBlock(this.fd, this.position, this.size, SPOOL_COMPONENT)
    if (typeof block === 'string') throw this.damaged(block)
    if (block.kind === KIND_BEGIN || block.set !== this.set) throw this.damaged('another set begins before its end')
    // A buffer of its own for each block: the journal writes from there later.
    this.data = Buffer.alloc(block.end - block.dataAt)
    try {
      readFully(this.fd, this.data, 0, this.data.length, block.dataAt)
    } catch (cause) {
      throw ioError('read', this.path, cause)
    }
    this.position = block.end
    this.block = block
    this.row = 0
    this.dataAt = 0
    return block
  }

  private damaged(what: string): TidemarkError {
    const message = `the spool is damaged: set ${this.set} in ${this.path} ${what} (at ${this.position})`
    return new TidemarkError('TIDEMARK_CORRUPT', message, { path: this.path, set: this.set, position: this.position })
  }
}

/** Behind the begin block of its part. A segment is named after the set that was to be its first. */
function findPart(directory: string, set: number): { path: string; fd: number; position: number } {
  const segments = listSegments(directory).filter(({ firstSet }) => firstSet <= set)
  for (const { path } of segments.reverse()) {
    const fd = fs.openSync(path, 'r')
    const position = positionOf(fd, set)
    if (position >= 0) return { path, fd, position }
    fs.closeSync(fd)
  }
  throw new TidemarkError('TIDEMARK_CORRUPT', `the spool in ${directory} has lost set ${set}`, { path: directory, set })
}

function positionOf(fd: number, set: number): number {
  const { size } = fs.fstatSync(fd)
  for (let position = 0; position < size; ) {
    const block = readBlock(fd, position, size, SPOOL_COMPONENT)
    if (typeof block === 'string') return -1
    if (block.kind === KIND_BEGIN && block.set === set) return block.end
    position = block.end
  }
  return -1
}

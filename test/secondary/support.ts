import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach } from 'vitest'
import type { TidemarkError } from '../../src/errors.ts'
import { Arena, arenaLayoutOf } from '../../src/memory/arena.ts'
import {
  FLAG_ZERO,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME,
  recordBytesFor
} from '../../src/memory/record.ts'
import type { PartFacts } from '../../src/protocol/set-store.ts'
import { type DirectoryOptions, openDirectory, type SecondaryDirectory } from '../../src/secondary/directory.ts'
import { FileSetStore } from '../../src/secondary/file-store.ts'

const made: string[] = []

export function temporaryDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-secondary-'))
  made.push(directory)
  return directory
}

afterEach(() => {
  for (const directory of made.splice(0)) fs.rmSync(directory, { recursive: true, force: true })
})

/** Records as a component holds them, filled in by hand. */
export class Records {
  readonly arena: Arena
  private at = 0

  constructor(bytes = 4 << 20, chunkShift = 20) {
    const layout = arenaLayoutOf(bytes, chunkShift)
    this.arena = new Arena(Arena.allocate(layout), layout)
  }

  clear(): void {
    this.at = 0
    this.arena.bytes.fill(0xee)
  }

  data(set: number, volume: number, sequence: number, offset: number, bytes: Uint8Array): number {
    const address = this.head(set, volume, sequence, offset, recordBytesFor(bytes.length))
    this.arena.ints[address / 4 + RECORD_LENGTH] = bytes.length
    this.arena.ints[address / 4 + RECORD_FLAGS] = 0
    this.arena.bytes.set(bytes, address + RECORD_PAYLOAD * 8)
    return address
  }

  zero(set: number, volume: number, sequence: number, offset: number, length: number): number {
    const address = this.head(set, volume, sequence, offset, recordBytesFor(8))
    this.arena.ints[address / 4 + RECORD_LENGTH] = 0
    this.arena.ints[address / 4 + RECORD_FLAGS] = FLAG_ZERO
    this.arena.floats[address / 8 + RECORD_PAYLOAD] = length
    return address
  }

  private head(set: number, volume: number, sequence: number, offset: number, bytes: number): number {
    const address = this.at
    this.at += bytes
    if (this.at > this.arena.bytes.length) throw new Error('the test needs more memory for its records')
    this.arena.ints[address / 4 + RECORD_BYTES] = bytes
    this.arena.ints[address / 4 + RECORD_VOLUME] = volume
    this.arena.ints[address / 4 + RECORD_SET] = set | 0
    this.arena.floats[address / 8 + RECORD_OFFSET] = offset
    this.arena.floats[address / 8 + RECORD_SEQUENCE] = sequence
    return address
  }
}

/** A secondary with its stores in this thread, called as the receivers of a group call them. */
export class Rig {
  readonly directory: SecondaryDirectory
  readonly stores: FileSetStore[]
  readonly records = new Records()
  /** By component: volumes by turns. */
  readonly keeps: number[][]
  private parts: PartFacts[] = []

  constructor(options: Partial<DirectoryOptions> & { directory: string }, segmentBytes?: number, spool?: string) {
    const volumes = options.volumes ?? [
      { name: 'a', size: 10_000 },
      { name: 'b', size: 4097 }
    ]
    const components = options.components ?? 2
    this.directory = openDirectory({ group: 'g', ...options, volumes, components })
    this.keeps = Array.from({ length: components }, (_, n) =>
      volumes.flatMap((_v, v) => (v % components === n ? [v] : []))
    )
    this.directory.raiseCeiling(this.directory.lastSet + 1000)
    this.stores = this.keeps.map(
      (keeps, n) =>
        new FileSetStore({
          ...this.directory.storeOptions(n, keeps),
          ...(segmentBytes === undefined ? {} : { segmentBytes }),
          ...(spool === undefined ? {} : { spool })
        })
    )
  }

  get first(): FileSetStore {
    return this.storeOf(0)
  }

  storeOf(volume: number): FileSetStore {
    return this.stores[volume % this.stores.length] as FileSetStore
  }

  begin(set: number): void {
    for (const store of this.stores) store.begin(set)
  }

  write(set: number, volume: number, sequence: number, offset: number, bytes: Uint8Array): void {
    this.storeOf(volume).append(this.records.arena, this.records.data(set, volume, sequence, offset, bytes))
  }

  zero(set: number, volume: number, sequence: number, offset: number, length: number): void {
    this.storeOf(volume).append(this.records.arena, this.records.zero(set, volume, sequence, offset, length))
  }

  sync(): void {
    this.parts = this.stores.map((store, n) => added(this.parts[n], store.sync()))
    // The primary side may use its memory for something else as soon as a set is secured.
    this.records.clear()
  }

  /** What was synced since the last one; updates as they are said to have been acknowledged. */
  commit(set: number, updates = 1, label?: string): void {
    const parts = this.stores.map((_, n) => this.parts[n] ?? NO_PART)
    this.first.commit({ set, consistencyTime: 1000 * set, updates, bytes: 0, parts, label })
    this.parts = []
  }

  applyAll(set: number): void {
    for (const store of this.stores) {
      store.beginApply(set)
      while (!store.applySome());
    }
  }

  apply(set: number): void {
    this.first.announce(set)
    this.applyAll(set)
    this.first.mark(set)
    this.first.release(set)
  }

  /** As the system leaves it when the process is killed: nothing is finished, the lock stays (its holder is gone). */
  kill(): void {
    for (const store of this.stores) store.close()
    fs.rmSync(this.directory.layout.lock)
  }

  close(): void {
    for (const store of this.stores) store.close()
    this.directory.close()
  }

  image(volume: number): Buffer {
    return fs.readFileSync(this.directory.volumes[volume]?.path ?? '')
  }
}

const NO_PART: PartFacts = { updates: 0, bytes: 0 }

function added(before: PartFacts = NO_PART, { updates, bytes }: PartFacts): PartFacts {
  return { updates: before.updates + updates, bytes: before.bytes + bytes }
}

export function bytesOf(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value)
}

/** Numbers 0 <= n < 1, the same ones for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function errorOf(call: () => unknown): TidemarkError {
  try {
    call()
  } catch (error) {
    return error as TidemarkError
  }
  throw new Error('it was expected to throw')
}

/** The only journal segment of a component. */
export function segmentOf(directory: string, component: number): string {
  const journal = path.join(directory, 'tidemark/journal')
  const names = fs.readdirSync(journal).filter((name) => name.startsWith(`${component}-`))
  if (names.length !== 1) throw new Error(`component ${component} has ${names.length} segments`)
  return path.join(journal, names[0] as string)
}

export function flipByte(file: string, position: number): void {
  const bytes = fs.readFileSync(file)
  bytes[position] = (bytes[position] as number) ^ 0x40
  fs.writeFileSync(file, bytes)
}

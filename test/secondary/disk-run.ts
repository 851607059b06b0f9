import fs from 'node:fs'
import path from 'node:path'
import type { PartFacts, StoreProgress } from '../../src/protocol/set-store.ts'
import { openDirectory, type SecondaryDirectory } from '../../src/secondary/directory.ts'
import { FileSetStore } from '../../src/secondary/file-store.ts'
import type { HistoryPolicy } from '../../src/secondary/kept-sets.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { DISK } from './simulated-disk.ts'
import { bytesOf, Records } from './support.ts'

export const DIRECTORY = path.join(DISK, 'secondary')
const SIZES = [3000, 4096]
const VOLUMES = SIZES.map((size, n) => ({ name: `v${n}`, size }))
const COMPONENTS = 2
/** So that several segments come and go. */
const SEGMENT_BYTES = 2500

/** A state of the volumes that a recovery may come to. */
export interface Boundary {
  readonly set: number
  readonly images: readonly Uint8Array[]
}

/** What everybody has been told at one moment, and what the volumes may be if everything ends there. */
export interface Told {
  /** The last boundary that was told secured, and the last one that may be: its record was being written. */
  readonly secured: number
  readonly committing: number
  /** The highest identifier that was used. */
  readonly used: number
}

/**
 * Secondary components on a directory, called as the receivers of a group call them, and a model of what they must come to.
 * Components in one thread: each is stopped where a script says.
 */
export class DiskRun {
  readonly boundaries: Boundary[] = [{ set: 0, images: SIZES.map((size) => new Uint8Array(size)) }]
  told: Told = { secured: 0, committing: 0, used: 0 }
  directory: SecondaryDirectory | undefined
  private stores: FileSetStore[] = []
  private readonly records = new Records(1 << 15, 10)
  private progress: StoreProgress[] = []
  /** By component, what it has told of its parts, as on the board. */
  private facts: Map<number, PartFacts>[] = []
  private images = this.boundaries[0]?.images ?? []
  private readonly updatesOf: (set: number) => readonly Update[]
  readonly history: HistoryPolicy | undefined

  constructor(updatesOf: (set: number) => readonly Update[] = largeUpdates, history?: HistoryPolicy) {
    this.updatesOf = updatesOf
    this.history = history
  }

  open(): void {
    this.directory = openRunDirectory(this.history)
    const { lastSet } = this.directory
    this.directory.raiseCeiling(lastSet + 10)
    const done = { journaled: lastSet, applied: lastSet, committed: lastSet, announced: lastSet, marked: lastSet }
    this.stores = Array.from({ length: COMPONENTS }, (_, n) => this.openStore(n))
    this.progress = this.stores.map(() => done)
    this.facts = this.stores.map(() => new Map())
  }

  close(): void {
    this.end()
    this.directory?.close()
  }

  /** The process ends here; what it wrote stays with the system. */
  end(): void {
    for (const store of this.stores) store.close()
  }

  /** One component receives its part, or begins to. */
  receive(set: number, component: number, isWhole = true): void {
    this.told = { ...this.told, used: Math.max(this.told.used, set) }
    const store = this.stores[component] as FileSetStore
    store.begin(set)
    for (const { volume, sequence, offset, length, fill } of this.updatesOf(set)) {
      if (volume % COMPONENTS !== component) continue
      const address =
        fill === 0
          ? this.records.zero(set, volume, sequence, offset, length)
          : this.records.data(set, volume, sequence, offset, bytesOf(length, fill))
      store.append(this.records.arena, address)
    }
    store.gather()
    this.records.clear()
    if (!isWhole) return
    this.facts[component]?.set(set, store.sync())
    this.tell(component, { journaled: set })
  }

  receiveAll(set: number): void {
    for (const component of this.stores.keys()) this.receive(set, component)
  }

  /** With it, all sets that were received since the last one. */
  commit(set: number, sets: readonly number[] = [set], label?: string): void {
    const images = this.images.map((image) => image.slice())
    for (const each of sets) {
      for (const { volume, offset, length, fill } of this.updatesOf(each))
        images[volume]?.fill(fill, offset, offset + length)
    }
    this.images = images
    this.boundaries.push({ set, images })
    this.told = { ...this.told, committing: this.boundaries.length - 1 }
    // More than there are: some were overwritten before they were sent.
    const acknowledged = { updates: 100, bytes: 100_000 }
    const parts = this.facts.map((facts) => sumOf(sets.flatMap((each) => facts.get(each) ?? [])))
    const consistencyTime = 1000 * set
    ;(this.stores[0] as FileSetStore).commit({ set, consistencyTime, ...acknowledged, parts, label })
    this.told = { ...this.told, secured: this.told.committing }
    this.tell(0, { committed: set })
  }

  announce(set: number): void {
    this.stores[0]?.announce(set)
    this.tell(0, { announced: set })
  }

  beginApply(set: number): void {
    for (const store of this.stores) store.beginApply(set)
  }

  finishApply(set: number): void {
    for (const [component, store] of this.stores.entries()) {
      while (!store.applySome());
      this.tell(component, { applied: set })
    }
  }

  mark(set: number): void {
    this.stores[0]?.mark(set)
    this.tell(0, { marked: set })
    this.stores[0]?.release(set)
  }

  apply(set: number): void {
    this.announce(set)
    this.beginApply(set)
    this.finishApply(set)
    this.mark(set)
  }

  /** Its thread has ended, and another one goes on with its files, and tells what is in them. */
  restart(component: number): void {
    this.stores[component]?.close()
    const store = this.openStore(component)
    this.stores[component] = store
    const { parts, ...progress } = store.resume(this.progress[component] as StoreProgress)
    this.progress[component] = progress
    this.facts[component] = new Map(parts.map(({ set, ...facts }) => [set, facts]))
  }

  private openStore(component: number): FileSetStore {
    const keeps = SIZES.flatMap((_, volume) => (volume % COMPONENTS === component ? [volume] : []))
    const options = (this.directory as SecondaryDirectory).storeOptions(component, keeps)
    return new FileSetStore({ ...options, segmentBytes: SEGMENT_BYTES })
  }

  private tell(component: number, more: Partial<StoreProgress>): void {
    const common = more.applied === undefined && more.journaled === undefined
    for (const n of this.stores.keys()) {
      if (common || n === component) this.progress[n] = { ...(this.progress[n] as StoreProgress), ...more }
    }
  }
}

function sumOf(parts: readonly PartFacts[]): PartFacts {
  return {
    updates: parts.reduce((sum, { updates }) => sum + updates, 0),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}

/** Whatever process held it is gone with the power. */
export function openRunDirectory(history?: HistoryPolicy): SecondaryDirectory {
  const options = { directory: DIRECTORY, group: 'g', volumes: VOLUMES, components: COMPONENTS, force: true }
  return openDirectory({ ...options, history })
}

/** Which of the boundaries the directory is at, after it was opened and closed; throws where it is at none. */
export function boundaryOf(boundaries: readonly Boundary[]): number {
  const { appliedSet, clean } = inspectDirectory(DIRECTORY)
  const at = boundaries.findIndex(({ set }) => set === appliedSet)
  if (!clean || at < 0) throw new Error(`set ${appliedSet} is applied, ${clean ? '' : 'and more waits'}`)
  for (const [volume, wanted] of (boundaries[at] as Boundary).images.entries()) {
    const image = fs.readFileSync(path.join(DIRECTORY, `volumes/v${volume}.img`))
    if (!image.equals(wanted)) throw new Error(`volume ${volume} is not as it was after set ${appliedSet}`)
  }
  return at
}

interface Update {
  readonly volume: number
  readonly sequence: number
  readonly offset: number
  readonly length: number
  /** 0: zeros. */
  readonly fill: number
}

/** Updates that overlap those of the same set and of the sets around it, over more than one sector: any other order shows. */
export function largeUpdates(set: number): Update[] {
  const fill = 1 + ((set * 7) % 200)
  return SIZES.flatMap((_, volume) => [
    { volume, sequence: 1, offset: (set % 10) * 40, length: 500, fill },
    { volume, sequence: 2, offset: (set % 10) * 40 + 300, length: 700, fill: fill + 1 },
    { volume, sequence: 3, offset: (set % 10) * 40 + 100, length: 450, fill: 0 },
    { volume, sequence: 4, offset: 900 + (set % 10) * 30, length: volume === 1 ? 1500 : 60, fill: fill + 2 }
  ])
}

/** The same in a few bytes. */
export function smallUpdates(set: number): Update[] {
  const fill = 1 + ((set * 7) % 200)
  return SIZES.flatMap((_, volume) => [
    { volume, sequence: 1, offset: 10 * set, length: 24, fill },
    { volume, sequence: 2, offset: 10 * set + 4, length: 5, fill: 0 },
    { volume, sequence: 3, offset: 10 * set + 8, length: 7, fill: fill + 1 }
  ])
}

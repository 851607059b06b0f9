import type { Arena } from '../memory/arena.ts'
import {
  FLAG_ZERO,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import type { PartFacts, ResumedProgress, SetFacts, SetStore, StoreProgress } from '../protocol/set-store.ts'
import type { SpoolDisk } from './memory-spool.ts'
import { Violation } from './violation.ts'

export interface StoredUpdate {
  readonly source: number
  readonly position: number
  readonly volume: number
  readonly offset: number
  readonly length: number
  readonly sequence: number
  /** Undefined for zeros. */
  readonly data: Uint8Array | undefined
}

/** What all secondary components of a world keep together. */
export interface SecondaryImages {
  readonly images: readonly Uint8Array[]
  readonly spool?: SpoolDisk
  /** Something is about to be written: throws when there is no room. */
  writing?(): void
  journaled(component: number, set: number, updates: readonly StoredUpdate[]): void
  committed(set: number, label: string | undefined): void
  announced(set: number): void
  beginApply(set: number): void
  marked(set: number): void
}

/** What a component has made durable: it outlives the store that wrote it, as files do. */
interface Disk {
  journaled: number
  /** The last set that is wholly in the images. */
  applied: number
  /** Parts of sets, until a later one is announced: then all components have applied those before it. */
  readonly parts: Map<number, readonly StoredUpdate[]>
  // Of the first component only.
  committed: number
  announced: number
  marked: number
}

/** By component. A store that finds one that a predecessor left goes on with it when it is told to resume. */
const disks = new WeakMap<SecondaryImages, Map<number, Disk>>()

function diskOf(shared: SecondaryImages, component: number): Disk {
  const ofAll = disks.get(shared) ?? new Map<number, Disk>()
  disks.set(shared, ofAll)
  const disk = ofAll.get(component) ?? {
    journaled: 0,
    applied: 0,
    parts: new Map(),
    committed: 0,
    announced: 0,
    marked: 0
  }
  ofAll.set(component, disk)
  return disk
}

/** A secondary component's store in memory. It reads the lent bytes as late as it may: when the part is made durable. */
export class MemoryStore implements SetStore {
  writtenBytes = 0
  private readonly component: number
  private readonly shared: SecondaryImages
  private readonly places: { arena: Arena; address: number }[] = []
  private receiving = 0
  private gathered: StoredUpdate[] = []
  private readonly disk: Disk
  private plan: StoredUpdate[] = []
  private applying = 0
  /** Of the set that is taken from the spool: what is left. */
  private kept: StoredUpdate[] = []

  constructor(component: number, shared: SecondaryImages) {
    this.component = component
    this.shared = shared
    this.disk = diskOf(shared, component)
  }

  /** As in files: what was told to be applied is, and everything else is as durable as it is here. */
  resume(told: StoreProgress): ResumedProgress {
    const { disk } = this
    if (told.journaled > told.applied && !disk.parts.has(told.journaled)) {
      throw new Error(`component ${this.component} has lost its part of set ${told.journaled}`)
    }
    const journaled = Math.max(told.journaled, disk.journaled)
    const waiting = [...disk.parts].filter(([set]) => set > told.applied)
    const parts = waiting.map(([set, updates]) => ({ set, ...factsOf(updates) }))
    if (this.component !== 0) return { ...told, journaled, parts }
    return {
      parts,
      journaled,
      applied: told.applied,
      committed: Math.max(told.committed, disk.committed),
      announced: Math.max(told.announced, disk.announced),
      marked: Math.max(told.marked, disk.marked)
    }
  }

  beginKept(set: number): void {
    const { spool } = this.shared
    const kept = spool?.sets.get(set)
    if (spool === undefined || kept === undefined) throw new Error(`the spool has lost set ${set}`)
    this.begin(set)
    spool.taken()
    this.kept = kept.filter(({ volume }) => volume % spool.secondaries === this.component)
  }

  takeSome(): boolean {
    this.shared.writing?.()
    const update = this.kept.shift()
    if (update === undefined) return true
    this.gathered.push(update)
    return false
  }

  begin(set: number): void {
    this.shared.writing?.()
    this.receiving = set
    this.places.length = 0
    this.gathered = []
  }

  append(arena: Arena, address: number): void {
    this.shared.writing?.()
    this.places.push({ arena, address })
  }

  gather(): void {
    for (const { arena, address } of this.places) this.gathered.push(readUpdate(arena, address))
    this.places.length = 0
  }

  sync(): PartFacts {
    this.shared.writing?.()
    this.disk.parts.set(this.receiving, this.gathered)
    this.disk.journaled = this.receiving
    this.shared.journaled(this.component, this.receiving, this.gathered)
    return factsOf(this.gathered)
  }

  commit({ set, parts, label }: SetFacts): void {
    this.shared.writing?.()
    this.checkManifest(set, parts)
    this.disk.committed = set
    this.shared.committed(set, label)
  }

  /** It lists exactly what all components have journaled of the sets that are committed by it. */
  private checkManifest(set: number, parts: readonly PartFacts[]): void {
    for (const [component, listed] of parts.entries()) {
      const covered = [...diskOf(this.shared, component).parts].filter(
        ([other]) => other > this.disk.committed && other <= set
      )
      const found = factsOf(covered.flatMap(([, updates]) => updates))
      if (found.updates === listed.updates && found.bytes === listed.bytes) continue
      throw new Violation('I2', `the record of set ${set} lists ${listed.updates} updates, there are ${found.updates}`)
    }
  }

  announce(set: number): void {
    this.disk.announced = set
    this.shared.announced(set)
  }

  beginApply(set: number): void {
    this.shared.beginApply(set)
    // The part stays: whoever dies while it is applied leaves it to be applied again.
    this.applying = set
    const pending = [...this.disk.parts.keys()].filter((other) => other <= set && other > this.disk.applied)
    for (const earlier of this.disk.parts.keys()) if (earlier <= this.disk.applied) this.disk.parts.delete(earlier)
    // Sets that were secured as one are applied one after the other.
    this.plan = pending.sort((a, b) => a - b).flatMap((each) => this.inOrder(this.disk.parts.get(each) ?? []))
    this.writtenBytes = 0
  }

  applySome(): boolean {
    this.shared.writing?.()
    const update = this.plan.shift()
    if (update === undefined) {
      this.disk.applied = this.applying
      return true
    }
    const image = this.shared.images[update.volume] as Uint8Array
    if (update.data === undefined) image.fill(0, update.offset, update.offset + update.length)
    else image.set(update.data, update.offset)
    this.writtenBytes += update.length
    return false
  }

  mark(set: number): void {
    this.disk.marked = set
    this.shared.marked(set)
  }

  release(): void {}

  /** By sequence within each volume. Overridden in the broken variant only. */
  protected inOrder(updates: readonly StoredUpdate[]): StoredUpdate[] {
    return [...updates].sort((a, b) => a.volume - b.volume || a.sequence - b.sequence)
  }
}

export function factsOf(updates: readonly StoredUpdate[]): PartFacts {
  return {
    updates: updates.length,
    bytes: updates.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)
  }
}

export function readUpdate(arena: Arena, address: number): StoredUpdate {
  const i = address >>> 2
  const f = address >>> 3
  const isZero = ((arena.ints[i + RECORD_FLAGS] as number) & FLAG_ZERO) !== 0
  const payload = address + RECORD_PAYLOAD * 8
  const dataBytes = arena.ints[i + RECORD_LENGTH] as number
  return {
    source: arena.ints[i + RECORD_SOURCE] as number,
    position: arena.floats[f + RECORD_POSITION] as number,
    volume: arena.ints[i + RECORD_VOLUME] as number,
    offset: arena.floats[f + RECORD_OFFSET] as number,
    length: isZero ? (arena.floats[f + RECORD_PAYLOAD] as number) : dataBytes,
    sequence: arena.floats[f + RECORD_SEQUENCE] as number,
    data: isZero ? undefined : new Uint8Array(arena.bytes.subarray(payload, payload + dataBytes))
  }
}

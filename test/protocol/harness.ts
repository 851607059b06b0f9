import { Arena, arenaLayoutOf } from '../../src/memory/arena.ts'
import { Board, type BoardLayout } from '../../src/memory/board.ts'
import { ChunkTable } from '../../src/memory/chunk-table.ts'
import { Link, linkBytes } from '../../src/memory/link.ts'
import {
  FLAG_MORE,
  FLAG_RECEIPT,
  HEADER_BYTES,
  RECORD_HOLDERS,
  RECORD_SEQUENCE,
  RECORD_SET
} from '../../src/memory/record.ts'
import { SetTables, setTablesBytes } from '../../src/memory/set-tables.ts'
import { SET_WINDOW_MASK, type SourceLayout, SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { SourceWriter } from '../../src/memory/source-writer.ts'
import { BackupComponent, type ComponentParts } from '../../src/protocol/component.ts'
import { Coordinator } from '../../src/protocol/coordinator.ts'
import { type HeldEntry, listHeld } from '../../src/protocol/held-table.ts'
import { hasSlot } from '../../src/protocol/holders.ts'
import type { ResponsibilityPolicy } from '../../src/protocol/responsibility.ts'
import type { SetProgress } from '../../src/protocol/set-line.ts'
import { SetReceiver } from '../../src/protocol/set-receiver.ts'
import type { PartFacts } from '../../src/protocol/set-store.ts'
import { type Confirm, type MirrorTarget, type Ordering, type Place, settingOf } from '../../src/protocol/setting.ts'
import { SourceIntake } from '../../src/protocol/source-intake.ts'
import { MemoryStore, type SecondaryImages, type StoredUpdate } from '../../src/sim/memory-store.ts'

/** What differs from a group of three components, one mirror, three volumes and no secondary. */
export interface GroupShape {
  members?: number
  mirrors?: number
  mirrorTarget?: MirrorTarget
  ordering?: Ordering
  policy?: ResponsibilityPolicy
  volumes?: number
  secondaries?: number
  confirm?: Confirm
  /** By default no period ever ends by itself. */
  periodMs?: number
  firstSet?: number
  /** Chunks of each arena, 512 bytes each. */
  chunks?: number
  linkCapacity?: number
  parts?: Partial<ComponentParts>
}

export const CHUNK_SHIFT = 9
export const CHUNK_BYTES = 2 ** CHUNK_SHIFT
/** Data of an update whose record fills a chunk, and half of one. */
export const CHUNK_DATA = CHUNK_BYTES - HEADER_BYTES
export const HALF_CHUNK_DATA = CHUNK_BYTES / 2 - HEADER_BYTES
export const VOLUME_BYTES = 4096
export const START_MS = 1_000_000

/** A board that shows what was already in place when the forming set was stored. */
export class TestBoard extends Board {
  /** By the low bits of a set: its responsibility table at the instant before anyone could tag with it. */
  readonly tablesAtForming = new Map<number, number[]>()
  /** Happens once, after someone has looked at what is journaled. */
  afterJournaledIsLoaded: (() => void) | undefined

  constructor(layout: BoardLayout) {
    super(Board.allocate(layout), layout)
    // What was never decided shows.
    for (const table of this.responsibility) table.fill(0xff)
  }

  override storeForming(set: number): void {
    this.tablesAtForming.set(set, [...(this.responsibility[set & SET_WINDOW_MASK] as Uint8Array)])
    super.storeForming(set)
  }

  override loadJournaled(secondary: number): number {
    const set = super.loadJournaled(secondary)
    const hook = this.afterJournaledIsLoaded
    this.afterJournaledIsLoaded = undefined
    hook?.()
    return set
  }
}

/** A secondary component's store; something else may happen while it makes a part durable. */
class TestStore extends MemoryStore {
  private readonly beforeSync: () => void

  constructor(index: number, shared: SecondaryImages, beforeSync: () => void) {
    super(index, shared)
    this.beforeSync = beforeSync
  }

  override sync(): PartFacts {
    this.beforeSync()
    return super.sync()
  }
}

/** A source's memory at whose first access by a component something else happens first. */
export class TestSourceMemory extends SourceMemory {
  beforePositionIsLoaded: (() => void) | undefined

  override loadPublished(): number {
    const hook = this.beforePositionIsLoaded
    this.beforePositionIsLoaded = undefined
    hook?.()
    return super.loadPublished()
  }
}

export interface Receipt {
  set: number
  sequence: number
  holders: number[]
}

export interface Part {
  volume: number
  offset?: number
  bytes?: number
  /** What every byte of it is. */
  fill?: number
}

/** A primary source that writes exactly what it is told to. */
export class TestSource {
  readonly id: number
  readonly memory: TestSourceMemory
  readonly writer: SourceWriter
  readonly intake: SourceIntake

  constructor(id: number, layout: SourceLayout, mirrors: number) {
    this.id = id
    this.memory = new TestSourceMemory(SourceMemory.allocate(layout), layout)
    this.writer = new SourceWriter(this.memory)
    this.intake = new SourceIntake(id, this.memory, mirrors, 0)
  }

  get acknowledged(): number {
    return this.memory.loadReleased()
  }

  /** Posts one update; returns its ordinal, -1 when there was no room in the source's ring. */
  post(part: Part): number {
    return this.transaction([part])
  }

  /** Posts updates as one; returns the ordinal of the first. */
  transaction(parts: readonly Part[]): number {
    // Only when there is no room otherwise, so that receipts stay where they are for as long as that is possible.
    const first = this.tryTransaction(parts)
    if (first >= 0) return first
    this.writer.refresh()
    return this.tryTransaction(parts)
  }

  private tryTransaction(parts: readonly Part[]): number {
    this.writer.mark()
    const first = this.writer.next
    for (const [n, { volume, offset = 0, bytes = 8, fill = 1 }] of parts.entries()) {
      const flags = FLAG_RECEIPT | (n < parts.length - 1 ? FLAG_MORE : 0)
      if (!this.writer.put(volume, offset, new Uint8Array(bytes).fill(fill), 0, bytes, flags, 0)) {
        this.writer.rollback()
        return -1
      }
    }
    this.writer.publish()
    return first
  }

  /** To be asked for before the record's place is used again. */
  receipt(ordinal: number): Receipt {
    if (((this.acknowledged - ordinal) | 0) <= 0) throw new Error(`update ${ordinal} is not acknowledged`)
    const { memory } = this
    const at = memory.entries[ordinal & memory.mask] as number
    const word = (at >>> 2) + RECORD_HOLDERS
    const [low, high] = [memory.ints[word] as number, memory.ints[word + 1] as number]
    return {
      set: memory.ints[(at >>> 2) + RECORD_SET] as number,
      sequence: memory.floats[(at >>> 3) + RECORD_SEQUENCE] as number,
      holders: each(64, (slot) => slot).filter((slot) => hasSlot(low, high, slot))
    }
  }
}

/** One part of a set as a secondary component has journaled it. */
export interface JournaledPart {
  secondary: number
  set: number
  updates: readonly StoredUpdate[]
}

/**
 * A whole group in this thread over plain memory. Nothing moves unless the test says so: `step` turns one component,
 * `control` the coordinator, `drain` the secondary components, `run` everything until nobody has anything to do.
 */
export class TestGroup {
  readonly members: number
  readonly mirrors: number
  readonly board: TestBoard
  readonly arenas: readonly Arena[]
  readonly chunks: readonly ChunkTable[]
  /** [sender][holder] */
  readonly links: readonly (readonly Link[])[]
  /** [component][secondary component] */
  readonly drains: readonly (readonly Link[])[]
  readonly tables: readonly SetTables[]
  readonly components: readonly BackupComponent[]
  readonly receivers: readonly SetReceiver[]
  readonly coordinator: Coordinator
  readonly sources: TestSource[] = []
  readonly images: readonly Uint8Array[]
  readonly journaled: JournaledPart[] = []
  readonly committed: { set: number; label: string | undefined }[] = []
  /** Names that the first secondary component was told. */
  private readonly labels = new Map<number, string>()
  /** Snapshots, in the order in which they were reported. */
  readonly reports: SetProgress[] = []
  readonly ceilings: number[] = []
  nowMs = START_MS
  wallMs = START_MS
  /** What components read, in microseconds. */
  clockMicroseconds = START_MS * 1000
  rung = true
  /** While a secondary component makes its part of a set durable. */
  whileSyncing: (() => void) | undefined

  constructor(shape: GroupShape = {}) {
    const { members = 3, mirrors = 1, volumes = 3, secondaries = 0, linkCapacity = 128, firstSet = 1 } = shape
    this.members = members
    this.mirrors = mirrors
    this.board = new TestBoard({ slots: members, secondaries, volumes })
    const layout = arenaLayoutOf((shape.chunks ?? 64) * 2 ** CHUNK_SHIFT, CHUNK_SHIFT)
    this.arenas = each(members, () => new Arena(Arena.allocate(layout), layout))
    this.chunks = each(members, () => new ChunkTable(ChunkTable.allocate(layout.chunks + layout.spareChunks)))
    const link = (): Link => new Link(new SharedArrayBuffer(linkBytes(linkCapacity)), linkCapacity)
    this.links = each(members, () => each(members, link))
    this.drains = each(members, () => each(secondaries, link))
    this.tables = each(members, () => new SetTables(new SharedArrayBuffer(setTablesBytes(volumes)), volumes))
    const surroundings = {
      clock: () => this.clockMicroseconds,
      ring: () => {
        this.rung = true
      }
    }
    this.coordinator = new Coordinator(
      {
        board: this.board,
        founders: members,
        mirrors,
        tables: this.tables,
        policy: shape.policy ?? 'round-robin',
        periodMs: shape.periodMs ?? Number.POSITIVE_INFINITY,
        secondaries,
        firstSet,
        confirm: shape.confirm,
        raiseCeiling: (set) => this.ceilings.push(set),
        onSet: (progress) => this.reports.push({ ...progress }),
        tellLabel: (set, label) => this.labels.set(set, label),
        publishFinal: () => {},
        onView: () => {}
      },
      this.nowMs
    )
    // After the coordinator: that has told the board who is a member.
    this.components = each(members, (slot) => {
      const place: Place = {
        slot,
        mirrors,
        mirrorTarget: shape.mirrorTarget ?? 'default',
        ordering: shape.ordering ?? 'volume-sequence',
        volumes,
        board: this.board,
        arenas: this.arenas,
        outgoing: this.links[slot] as Link[],
        incoming: this.links.map((row) => row[slot] as Link),
        tables: this.tables[slot] as SetTables,
        chunks: this.chunks[slot] as ChunkTable,
        secondaries: this.drains[slot] as Link[],
        secondaryOf: Uint8Array.from({ length: volumes }, (_, volume) => volume % Math.max(1, secondaries)),
        surroundings
      }
      return new BackupComponent(settingOf(place, firstSet | 0), shape.parts)
    })
    this.images = each(volumes, () => new Uint8Array(VOLUME_BYTES))
    const labelOf = (set: number): string | undefined => this.labels.get(set)
    const kept: SecondaryImages = {
      images: this.images,
      journaled: (secondary, set, updates) => this.journaled.push({ secondary, set, updates }),
      committed: (set, label) => this.committed.push({ set, label }),
      announced: () => {},
      beginApply: () => {},
      marked: () => {}
    }
    this.receivers = each(secondaries, (index) => {
      const store = new TestStore(index, kept, () => this.whileSyncing?.())
      const tellsReceived = shape.confirm === 'mirrored'
      const links = this.drains.map((row) => row[index] as Link)
      return new SetReceiver(
        {
          index,
          board: this.board,
          links,
          arenas: this.arenas,
          lastSet: firstSet - 1,
          tellsReceived,
          surroundings,
          labelOf
        },
        store
      )
    })
    // Credits have been granted, and nothing else has happened.
    this.run()
  }

  /** A source that is attached to the component in this slot. */
  openSource(slot: number, ringBytes = 65536): TestSource {
    const source = new TestSource(this.sources.length, sourceLayout(ringBytes), this.mirrors)
    source.memory.storeAttached(slot)
    this.sources.push(source)
    this.coordinator.sources.add(source)
    this.component(slot).attach(source.intake)
    return source
  }

  component(slot: number): BackupComponent {
    return this.components[slot] as BackupComponent
  }

  /** Turns these components, each once, in this order. */
  step(...slots: number[]): void {
    for (const slot of slots) this.component(slot).step()
  }

  /** Turns all components until none has anything to do. */
  settle(): void {
    for (let turns = 0; this.components.reduce((work, component) => work + component.step(), 0) > 0; turns++) {
      if (turns > 100_000) throw new Error('the components do not come to rest')
    }
  }

  control(): void {
    this.rung = false
    this.coordinator.step(this.nowMs, this.wallMs)
  }

  /** Turns the secondary components once; true if one of them did something. */
  drain(): boolean {
    return this.receivers.reduce((work, receiver) => work + receiver.step(), 0) > 0
  }

  /** Everyone, until nobody has anything to do. */
  run(): void {
    for (let turns = 0; ; turns++) {
      if (turns > 100_000) throw new Error('the group does not come to rest')
      this.control()
      const work = this.components.reduce((sum, component) => sum + component.step(), 0)
      if (!this.drain() && work === 0 && !this.rung) return
    }
  }

  /** Ends the forming set and brings it to the secondary. Returns it. */
  closeSet(label?: string): number {
    const set = this.coordinator.closeSet(label)
    this.control()
    this.run()
    return set
  }

  /** Figure 2A for a set: by volume the responsible slot. */
  responsibility(set: number): Uint8Array {
    return this.board.responsibility[set & SET_WINDOW_MASK] as Uint8Array
  }

  /** Figure 2B of one component. */
  held(slot: number): HeldEntry[] {
    const [arena, chunks] = [this.arenas[slot] as Arena, this.chunks[slot] as ChunkTable]
    return listHeld({ slot, arena, chunks, board: this.board }, 100_000)
  }

  /** The states through which a set was reported to go. */
  statesOf(set: number): SetProgress['state'][] {
    return this.reports.filter((report) => report.set === set).map((report) => report.state)
  }
}

export function each<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

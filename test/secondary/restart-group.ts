import fs from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import type { Arena } from '../../src/memory/arena.ts'
import {
  Board,
  type BoardLayout,
  PHASE_REBUILD,
  PHASE_RESTORE,
  PHASE_RUN,
  PHASE_STOP,
  WAY_SECONDARY
} from '../../src/memory/board.ts'
import {
  ENTRY_EPOCH,
  ENTRY_PART_BEGIN,
  ENTRY_PART_END,
  ENTRY_UPDATE,
  entry,
  Link,
  linkBytes
} from '../../src/memory/link.ts'
import { SetReceiver } from '../../src/protocol/set-receiver.ts'
import type { SetStore } from '../../src/protocol/set-store.ts'
import type { MortalFiles } from './mortal-files.ts'
import { bytesOf, Records } from './support.ts'

export const SIZES = [3000, 4096]
/** Low bits go from positive to negative on the way; one set holds nothing and passes without the secondary. */
export const LAST_SET = 2 ** 31 - 2
export const SETS = [LAST_SET + 1, LAST_SET + 2, LAST_SET + 4]
const SLOTS = 2
const LINK_CAPACITY = 256
/** As long as the first pause of one that finds no room. */
const TURN_US = 10_000

interface Update {
  readonly volume: number
  readonly sequence: number
  readonly offset: number
  readonly length: number
  /** 0: zeros. */
  readonly fill: number
}

/** Updates that overlap those of the same set and of the sets around it: any other order shows. */
function updatesOf(n: number): Update[] {
  return SIZES.flatMap((_, volume) => [
    { volume, sequence: 1, offset: n * 40, length: 500, fill: 16 * n + volume },
    { volume, sequence: 2, offset: n * 40 + 300, length: 400, fill: 16 * n + volume + 8 },
    { volume, sequence: 3, offset: n * 40 + 100, length: 50, fill: 0 },
    { volume, sequence: 4, offset: n * 10, length: volume === 1 ? 2500 : 60, fill: 16 * n + volume + 12 }
  ])
}

/** All volumes after the first n of the sets. */
export function modelAfter(n: number): Buffer[] {
  const images = SIZES.map((size) => Buffer.alloc(size))
  for (let k = 1; k <= n; k++) {
    for (const { volume, offset, length, fill } of updatesOf(k)) images[volume]?.fill(fill, offset, offset + length)
  }
  return images
}

/** How many of the sets are up to this one. */
export function countUpTo(set: number): number {
  return SETS.filter((other) => other <= set).length
}

export function setOfLow(low: number): number {
  return LAST_SET + ((low - (LAST_SET | 0)) | 0)
}

export interface RestartHooks {
  makeStore(index: number): SetStore
  /** A word of the board is about to grow: what it tells must be so, and durable. */
  telling(word: string, index: number, set: number): void
  died(): void
  /** A successor has its store, and has done nothing else yet. */
  resumed(): void
}

/** A board that checks what is told at the instant before, and on which the teller may die there. */
class CheckedBoard extends Board {
  private readonly files: MortalFiles
  private readonly grows: (word: string, index: number, before: number, low: number) => void

  constructor(layout: BoardLayout, files: MortalFiles, grows: CheckedBoard['grows']) {
    super(Board.allocate(layout), layout)
    this.files = files
    this.grows = grows
  }

  override storePartFacts(index: number, set: number, updates: number, bytes: number): void {
    this.files.point()
    super.storePartFacts(index, set, updates, bytes)
  }
  override storeJournaled(index: number, low: number): void {
    this.files.point('journaled')
    this.grows('journaled', index, this.loadJournaled(index), low)
    super.storeJournaled(index, low)
  }
  override storeCommitted(low: number): void {
    this.files.point()
    this.grows('committed', 0, this.loadCommitted(), low)
    super.storeCommitted(low)
  }
  override storeApplying(low: number): void {
    this.files.point()
    this.grows('applying', 0, this.loadApplying(), low)
    super.storeApplying(low)
  }
  override storeApplied(index: number, low: number): void {
    this.files.point()
    this.grows('applied', index, this.loadApplied(index), low)
    super.storeApplied(index, low)
  }
  override storeMarked(low: number): void {
    this.files.point()
    this.grows('marked', 0, this.loadMarked(), low)
    super.storeMarked(low)
  }
  override storeWritten(index: number, bytes: number): void {
    this.files.point()
    super.storeWritten(index, bytes)
  }
  override storeSecondaryEpoch(index: number, word: number): void {
    this.files.point()
    super.storeSecondaryEpoch(index, word)
  }
}

class CheckedLink extends Link {
  private readonly noting: (ordinal: number) => void

  constructor(noting: (ordinal: number) => void) {
    super(new SharedArrayBuffer(linkBytes(LINK_CAPACITY)), LINK_CAPACITY)
    this.noting = noting
  }

  override storeNoted(ordinal: number): void {
    this.noting(ordinal)
    super.storeNoted(ordinal)
  }
}

/**
 * The secondary components of a group, their receivers and stores, in this thread. The components of the primary side are
 * two that send their parts of each set, as often as views change; the control thread is as much of it as leads sets.
 */
export class RestartGroup {
  readonly board: CheckedBoard
  readonly receivers: SetReceiver[] = []
  private readonly stores: SetStore[] = []
  private readonly components: number
  private readonly files: MortalFiles
  private readonly hooks: RestartHooks
  /** A view begins at the death, before there is a successor; otherwise some turns after that runs. */
  private readonly viewAtDeath: boolean
  /** [slot][secondary component] */
  private readonly links: CheckedLink[][]
  private readonly records = Array.from({ length: SLOTS }, () => new Records(1 << 16, 10))
  private readonly mayRead: boolean[]
  private begun = false
  private turns = 0
  private view = 0
  private phase = PHASE_RUN
  private viewIn = 0
  /** Counts among the sets. */
  private transferring = 0
  private secured = 0
  private applying = 0
  private marked = 0

  constructor(components: number, files: MortalFiles, hooks: RestartHooks, viewAtDeath: boolean) {
    this.components = components
    this.files = files
    this.hooks = hooks
    this.viewAtDeath = viewAtDeath
    const layout = { slots: SLOTS, secondaries: components, volumes: SIZES.length }
    this.board = new CheckedBoard(layout, files, (word, index, before, low) => {
      if (!this.begun) return
      expect((low - before) | 0, `${word} of component ${index} was put back`).toBeGreaterThanOrEqual(0)
      if (low !== before) hooks.telling(word, index, setOfLow(low))
    })
    this.links = Array.from({ length: SLOTS }, () =>
      Array.from({ length: components }, (_, index) => new CheckedLink((ordinal) => this.noting(index, ordinal)))
    )
    this.mayRead = Array.from({ length: components }, () => true)
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot)
    this.board.storeMembership(slots, slots, [])
    const before = LAST_SET | 0
    for (const store of ['storeTransfer', 'storeSecured', 'storeCommit', 'storeApply'] as const) {
      this.board[store](before)
    }
    for (let index = 0; index < components; index++) {
      this.board.storeJournaled(index, before)
      this.board.storeApplied(index, before)
    }
    this.board.storeCommitted(before)
    this.board.storeApplying(before)
    this.board.storeMarked(before)
    this.board.storeNear(LAST_SET + 1)
    for (let index = 0; index < components; index++) this.start(index, false)
    this.begun = true
  }

  get storesOpen(): readonly SetStore[] {
    return this.stores
  }

  /** Until all sets are applied and the view stands. */
  run(): void {
    for (let turn = 0; !this.turn(); turn++) {
      if (turn === 3000) throw new Error(`no end: ${this.secured} sets are secured, ${this.marked} marked`)
    }
  }

  /** Everyone once; true when there is nothing left to do. */
  turn(): boolean {
    this.turns++
    this.control()
    for (let index = 0; index < this.components; index++) {
      if (!this.files.run(index, () => this.receivers[index]?.step())) this.replace(index)
    }
    return this.marked === SETS.length && this.phase === PHASE_RUN && this.viewIn === 0
  }

  start(index: number, resume: boolean): void {
    const store = this.hooks.makeStore(index)
    const links = this.links.map((row) => row[index] as Link)
    const arenas = this.records.map(({ arena }): Arena => arena)
    const surroundings = { clock: () => this.turns * TURN_US, ring: () => this.files.point() }
    const { board } = this
    this.receivers[index] = new SetReceiver(
      { index, board, links, arenas, lastSet: LAST_SET, resume, surroundings },
      store
    )
    this.stores[index] = store
  }

  private replace(index: number): void {
    this.hooks.died()
    this.mayRead[index] = false
    if (this.viewAtDeath) this.beginView()
    while (!this.files.run(index, () => this.start(index, true))) this.hooks.died()
    this.hooks.resumed()
    if (!this.viewAtDeath) this.viewIn = 3
  }

  private control(): void {
    const { board } = this
    if (this.viewIn > 0 && --this.viewIn === 0) this.beginView()
    this.followView()
    if (this.phase === PHASE_RUN) this.transferAndSecure()
    if (this.applying > 0 && board.loadMarked() === lowOf(this.applying)) {
      this.marked = this.applying
      this.applying = 0
    }
    // Some turns behind, so that several sets wait in the journal.
    const next = this.marked + 1
    if (this.applying === 0 && next <= this.secured && this.secured > Math.min(next, SETS.length - 1)) {
      this.applying = next
      board.storeApply(lowOf(next))
    }
  }

  private transferAndSecure(): void {
    const { board, transferring } = this
    if (transferring > 0 && board.loadCommitted() === lowOf(transferring)) {
      this.secured = transferring
      this.transferring = 0
      board.storeSecured(lowOf(this.secured))
      // Used for something else as soon as the set is secured.
      for (const records of this.records) records.clear()
    } else if (transferring > 0 && this.isJournaledByAll()) {
      board.storeCommit(lowOf(transferring))
    }
    if (this.transferring > 0 || this.secured === SETS.length) return
    this.transferring = this.secured + 1
    board.storeSetFacts(lowOf(this.transferring), 1000 * this.transferring, SIZES.length * 4, 5)
    board.storeTransfer(lowOf(this.transferring))
    this.send()
  }

  private isJournaledByAll(): boolean {
    const low = lowOf(this.transferring)
    return this.mayRead.every((_, index) => this.board.loadJournaled(index) === low)
  }

  private send(): void {
    const set = SETS[this.transferring - 1] as number
    for (const [slot, row] of this.links.entries()) {
      for (const [index, link] of row.entries()) {
        const epoch = this.board.loadEpoch(WAY_SECONDARY)
        const words = [entry(ENTRY_EPOCH, epoch), entry(ENTRY_PART_BEGIN, set & 0xfffffff)]
        for (const update of updatesOf(this.transferring)) {
          const { volume } = update
          if (volume % SLOTS !== slot || volume % this.components !== index) continue
          words.push(entry(ENTRY_UPDATE, this.record(slot, set, update) >>> 3))
        }
        words.push(entry(ENTRY_PART_END, set & 0xfffffff))
        const head = link.loadPublished()
        for (const [n, word] of words.entries()) link.entries[(head + n) & link.mask] = word
        link.publish(head + words.length)
      }
    }
  }

  private record(slot: number, set: number, { volume, sequence, offset, length, fill }: Update): number {
    const records = this.records[slot] as Records
    if (fill === 0) return records.zero(set, volume, sequence, offset, length)
    return records.data(set, volume, sequence, offset, bytesOf(length, fill))
  }

  private beginView(): void {
    this.view++
    this.viewIn = 0
    const epoch = this.board.loadEpoch(WAY_SECONDARY)
    this.board.storeEpoch(WAY_SECONDARY, epoch | 1)
    this.enter(PHASE_STOP)
  }

  private followView(): void {
    const { board, phase } = this
    if (phase === PHASE_RUN) return
    if (phase === PHASE_STOP) {
      this.mayRead.fill(true)
      // Updates are elsewhere in memory afterwards.
      for (const records of this.records) records.clear()
      for (const records of this.records) records.data(0, 0, 0, 0, bytesOf(100 * this.view, 0xee))
      board.storeEpoch(WAY_SECONDARY, board.loadEpoch(WAY_SECONDARY) + 1)
      this.enter(PHASE_REBUILD)
    } else if (phase === PHASE_REBUILD) {
      this.enter(PHASE_RESTORE)
    } else {
      this.enter(PHASE_RUN)
      if (this.transferring > 0) this.send()
    }
  }

  private enter(phase: number): void {
    this.phase = phase
    this.board.storeView(this.view * 4 + phase)
  }

  private noting(index: number, ordinal: number): void {
    this.files.point()
    if (ordinal !== 0)
      expect(this.mayRead[index], `component ${index} reads parts begun before it was there`).toBe(true)
  }
}

/** Low bits of the n-th of the sets. */
export function lowOf(n: number): number {
  return (SETS[n - 1] as number) | 0
}

/** The files in which a component's parts are. */
export function segmentsOf(journal: string, index: number): string[] {
  const own = fs.readdirSync(journal).filter((name) => name.startsWith(`${index}-`))
  return own.map((name) => path.join(journal, name))
}

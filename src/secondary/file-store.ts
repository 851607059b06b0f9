import { TidemarkError } from '../errors.ts'
import type { Arena } from '../memory/arena.ts'
import type { PartFacts, ResumedProgress, SetFacts, SetStore, StoreProgress } from '../protocol/set-store.ts'
import { factsOf, type Part } from './block.ts'
import { BlockSums } from './block-sums.ts'
import { CommitLog, readCommits } from './commit-log.ts'
import { isNoSpace } from './files.ts'
import { type Layout, layoutOf } from './format.ts'
import { Images, type StoreVolume } from './images.ts'
import { Journal } from './journal.ts'
import { KeptSetReader } from './kept-set-reader.ts'
import type { HistoryPolicy } from './kept-sets.ts'
import { checkLeft, checkManifests, readLeft } from './left-segments.ts'
import { waitingCommits } from './recover.ts'
import { Retention } from './retention.ts'
import { SetApplier } from './set-applier.ts'
import { StateFile } from './state.ts'
import { SumKeeper } from './sum-keeper.ts'
import { UndoWriter } from './undo.ts'

export type { StoreVolume } from './images.ts'

export interface StoreHistory {
  readonly policy: HistoryPolicy
  /** By volume: its number in undo parts. */
  readonly numbers: readonly number[]
}

/** Plain values: it is opened in the component's thread. Made by SecondaryDirectory.storeOptions. */
export interface FileSetStoreOptions {
  readonly directory: string
  /** All volumes of the group, by number. */
  readonly volumes: readonly StoreVolume[]
  /** Which secondary component it is; 0 also keeps what they have in common. */
  readonly component: number
  readonly components: number
  /** The volumes that this component applies. */
  readonly keeps: readonly number[]
  /** The last set of the time before. */
  readonly lastSet: number
  /** Where the spool's segments are, if there is a spool. */
  readonly spool?: string
  /** Journal segments are changed after this many bytes. */
  readonly segmentBytes?: number
  /** Undefined: no history is kept. */
  readonly history?: StoreHistory | undefined
}

/** A secondary component's sets in files: journaled, then applied to the images (SYSTEM.md 6, "Secondary"). */
export class FileSetStore implements SetStore {
  private readonly options: FileSetStoreOptions
  private readonly layout: Layout
  private readonly journal: Journal
  private readonly images: Images
  private readonly sums: BlockSums | null
  /** Null: no history is kept. */
  private readonly undo: UndoWriter | null
  private readonly applier: SetApplier
  private readonly state: StateFile
  /** Of the first component only. */
  private readonly commits: CommitLog | null
  /** Of the first component only, where history is kept. */
  private readonly retention: Retention | null
  /** Journaled and not yet applied, in order. */
  private readonly parts: Part[] = []
  /** Of the sets that are being applied, in order: mostly of one. */
  private applying: Part[] = []
  private lastBegun: number
  private lastSynced: number
  /** The predecessor may have begun to apply what is applied next. */
  private maybeBegun = false
  /** The set that is taken from the spool. */
  private kept: KeptSetReader | null = null

  constructor(options: FileSetStoreOptions) {
    const layout = layoutOf(options.directory)
    this.options = options
    this.layout = layout
    this.lastBegun = options.lastSet
    this.lastSynced = options.lastSet
    const sizes = new Float64Array(options.volumes.length).fill(-1)
    for (const volume of options.keeps) sizes[volume] = (options.volumes[volume] as StoreVolume).size
    const { component, segmentBytes, history } = options
    this.journal = new Journal({
      directory: layout.journal,
      component,
      sizes,
      ...(segmentBytes === undefined ? {} : { segmentBytes })
    })
    this.images = new Images(options.volumes)
    this.sums = BlockSums.open(layout.checksums, options.volumes, 'write')
    const keeper = SumKeeper.of(this.images, this.sums, options.volumes)
    this.undo =
      history === undefined
        ? null
        : new UndoWriter({ directory: layout.history, component, numbers: history.numbers }, this.images)
    this.applier = new SetApplier(this.images, options.volumes.length, keeper, this.undo)
    this.state = StateFile.open(layout.state, component === 0 ? 'write' : 'read')
    this.commits = component === 0 ? new CommitLog(layout.commits) : null
    this.retention = this.makeRetention()
  }

  get writtenBytes(): number {
    return this.applier.writtenBytes
  }

  /**
   * What is applied is known from what was told, for every component: no file says it of one component alone, and none need.
   * A part is told applied only when the images hold it durably; and while one is not told, its set is not marked and no later
   * set is announced, so that it can be applied again, from its start, before anything that must come after it.
   */
  resume(told: StoreProgress): ResumedProgress {
    const { component } = this.options
    const left = readLeft(this.layout.journal, component, told.applied)
    // Before anything is cut off: a damaged journal stays as it was found.
    if (told.journaled > told.applied) checkLeft(left, component, told.journaled)
    // Read while the first component may write to it: a set that is committed later is the last one that was told journaled.
    const { commits } = readCommits(this.layout.commits)
    checkManifests(left, component, commits, told.applied)
    this.journal.takeOver(left)
    this.undo?.syncNames()
    for (const { parts } of left) this.parts.push(...parts)
    this.maybeBegun = true
    const journaled = Math.max(told.journaled, this.parts.at(-1)?.set ?? 0)
    this.lastBegun = journaled
    this.lastSynced = journaled
    const parts = this.parts.map((part) => ({ set: part.set, ...factsOf(part) }))
    return { ...(component === 0 ? this.resumeCommon(told, journaled) : { ...told, journaled }), parts }
  }

  begin(set: number): void {
    // The same one again is its part starting anew; one that was synced is answered by who knows that, not received again.
    if (set < this.lastBegun || set <= this.lastSynced) throw this.outOfOrder('begun', set, this.lastSynced)
    this.lastBegun = set
    this.journal.begin(set)
  }

  beginKept(set: number): void {
    const { spool, keeps } = this.options
    this.closeKept()
    if (spool === undefined) throw new Error(`set ${set} is in a spool that is not there`)
    this.kept = new KeptSetReader(spool, set, new Set(keeps))
    this.begin(set)
  }

  takeSome(): boolean {
    const { kept } = this
    return kept === null || kept.takeSome(this.journal)
  }

  append(arena: Arena, address: number): void {
    this.journal.append(arena, address)
  }

  gather(): void {
    this.journal.gather()
  }

  sync(): PartFacts {
    const part = this.journal.sync()
    this.parts.push(part)
    this.lastSynced = this.lastBegun
    this.closeKept()
    return factsOf(part)
  }

  commit({ set, consistencyTime, updates, bytes, parts, label }: SetFacts): void {
    const commits = this.common()
    const { securedSet } = this.state.current
    if (set <= securedSet) throw this.outOfOrder('committed', set, securedSet)
    // What was journaled before and has no record of its own is secured with it.
    const first = this.parts.find((part) => part.set > securedSet && part.set < set)?.set
    // In this order: what the state calls secured has its record. It is there already when there was no room for the state.
    if (commits.find(set) === undefined) {
      commits.append({
        set,
        time: consistencyTime,
        updates,
        bytes,
        parts,
        ...(first !== undefined && { first }),
        ...(label !== undefined && { label })
      })
    }
    this.state.secure(set, consistencyTime)
  }

  announce(set: number): void {
    this.common()
    const { securedSet, appliedSet } = this.state.current
    if (set > securedSet || set <= appliedSet) throw this.outOfOrder('announced', set, securedSet)
    this.state.announce(set)
  }

  beginApply(set: number): void {
    if (this.applying.length > 0) throw this.outOfOrder('applied', set, this.applying[0]?.set ?? 0)
    // Sets without updates may never have been sent here.
    const parts = this.parts.filter((part) => part.set <= set)
    this.checkTogether(set, parts)
    if (this.options.component !== 0) this.releaseApplied(set)
    this.parts.splice(0, parts.length)
    this.applying = parts
    const opened = parts.map((part) => ({ frames: part.frames, path: part.path, fd: this.journal.fileOf(part) }))
    this.applier.begin(set, opened, this.maybeBegun)
    this.maybeBegun = false
  }

  applySome(): boolean {
    if (!this.applier.applySome()) return false
    for (const part of this.applying.splice(0)) this.journal.recycle(part)
    return true
  }

  /** One that has a record of its own would be applied by itself. */
  private checkTogether(set: number, parts: readonly Part[]): void {
    for (const part of parts) {
      if (part.set < set && this.commits?.find(part.set) !== undefined) throw this.outOfOrder('applied', set, part.set)
    }
  }

  mark(set: number): void {
    const commits = this.common()
    const { securedSet, securedTime, history } = this.state.current
    const commit = commits.find(set)
    const time = commit?.time ?? (set === securedSet ? securedTime : null)
    const isKept = commit !== undefined && history !== null && this.retention !== null
    this.state.mark(set, time, isKept ? this.retention.applied(commit, history) : history)
  }

  /** Only when it is marked: redoing the set takes the parts of all components. */
  release(set: number): void {
    this.journal.release(set)
    this.forget(set)
  }

  close(): void {
    this.closeKept()
    this.journal.close()
    this.applier.close()
    this.images.close()
    this.sums?.close()
    this.state.close()
    this.commits?.close()
  }

  private closeKept(): void {
    this.kept?.close()
    this.kept = null
  }

  /** The files of what they have in common are synced when they are opened: what is read here is durable. */
  private resumeCommon(told: StoreProgress, journaled: number): StoreProgress {
    const last = waitingCommits(this.layout, this.state.current).at(-1)
    // The record decides; the predecessor may have died before it wrote the state. Else the set is committed once more.
    if (last !== undefined && last.set > this.state.current.securedSet) {
      ifThereIsRoom(() => this.state.secure(last.set, last.time))
    }
    const { securedSet, appliedSet, applying } = this.state.current
    // It may have died between the mark and this. Else it is done when the next set is applied.
    this.journal.release(appliedSet)
    ifThereIsRoom(() => this.forget(appliedSet))
    return {
      journaled,
      applied: told.applied,
      committed: Math.max(told.committed, securedSet),
      announced: Math.max(told.announced, applying ?? appliedSet),
      marked: Math.max(told.marked, appliedSet)
    }
  }

  /** Records, and undo, that are not needed any more: the state says so durably. */
  private forget(appliedSet: number): void {
    const { history } = this.state.current
    const keptFrom = history === null || this.retention === null ? appliedSet : this.retention.drop(history)
    this.common().forget(appliedSet, keptFrom)
  }

  private makeRetention(): Retention | null {
    const { layout, state, commits } = this
    const bounds = state.current.history
    if (this.options.history === undefined || commits === null || bounds === null) return null
    const { policy } = this.options.history
    const applied = readCommits(layout.commits).commits.filter(({ set }) => set <= state.current.appliedSet)
    return new Retention({ directory: layout.history, leases: layout.leases, policy }, bounds, applied)
  }

  /** What the state says beside an announcement is durable: the announcement came after. */
  private releaseApplied(set: number): void {
    const { applying, appliedSet } = this.state.refresh()
    if (applying !== null && applying >= set) this.journal.release(appliedSet)
  }

  private common(): CommitLog {
    if (this.commits === null) throw new Error('only the first secondary component keeps what they have in common')
    return this.commits
  }

  private outOfOrder(what: string, set: number, after: number): TidemarkError {
    const { component } = this.options
    const message = `secondary component ${component}: set ${set} cannot be ${what}, set ${after} comes before`
    return new TidemarkError('TIDEMARK_CORRUPT', message, { component, set, after })
  }
}

/** What need not be done now: a disk without room must not keep a component from beginning. */
function ifThereIsRoom(act: () => void): void {
  try {
    act()
  } catch (cause) {
    if (!isNoSpace(cause)) throw cause
  }
}

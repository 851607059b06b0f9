import type { Board } from '../memory/board.ts'
import type { SetTables } from '../memory/set-tables.ts'
import { SET_WINDOW, SET_WINDOW_MASK } from '../memory/source-memory.ts'
import {
  acknowledgedTo,
  type CountedSource,
  LossError,
  type ManifestSum,
  sumManifests,
  volumesThatLost
} from './conservation.ts'
import type { FinalPositions } from './rebuild.ts'
import { balanced, type ResponsibilityPolicy, reassign, roundRobin } from './responsibility.ts'
import { isAfter } from './set-identifier.ts'
import { assert } from './setting.ts'
import { ViewChanges } from './view-changes.ts'

/** Why a set was closed. */
export type CloseReason = 'period' | 'asked' | 'memory' | 'end'

export interface SetProgress {
  readonly set: number
  readonly label: string | undefined
  readonly reason: CloseReason
  /** The instant that the set represents: when its period ended, by the wall clock; never decreases. */
  readonly consistencyTime: number
  /** The same instant by the clock that only goes forward. */
  readonly endedAtMs: number
  state: 'closing' | 'sealed' | 'formed' | 'transferring' | 'committing' | 'secured' | 'applying' | 'applied'
  updates: number
  bytes: number
  writtenBytes: number
}

export interface CoordinatorSetting {
  readonly board: Board
  /** Components at the beginning, in slots 0 .. founders-1. */
  readonly founders: number
  readonly mirrors: number
  /** By slot. */
  readonly tables: readonly SetTables[]
  readonly policy: ResponsibilityPolicy
  readonly periodMs: number
  /** Number of secondary components; 0 when sets are formed and dropped. */
  readonly secondaries: number
  /** The first set to be formed (whole number). */
  readonly firstSet: number
  /** Makes durable that identifiers below it may be handed out; called before they are. */
  raiseCeiling(set: number): void
  /** A set has become formed, secured or applied. */
  onSet(progress: SetProgress): void
  /** Acknowledged positions are final and sources are attached: members are told before they rebuild. */
  publishFinal(positions: FinalPositions): void
  /** Roles are given anew. */
  onReassigned?(view: number): void
  /** A view stands again. */
  onView(view: number): void
  /** The simulator's deliberately broken variants replace it. */
  readonly views?: typeof ViewChanges
}

/** Sets whose identifiers are made durable at once, so that this is done rarely. */
const CEILING_STEP = 1024

/**
 * The life of sets, as the control thread leads it: closes periods, finds them formed, releases them to the secondary one
 * after the other, says when they are secured and applied. A state machine over the board, driven by `step`; told the time.
 *
 *      forming -> closing -> sealed -> formed -> transferring -> committing -> secured -> applying -> applied
 *      close()   all quiet  manifests  conserved  all journaled    committed                marked
 */
export class Coordinator {
  readonly sources = new Set<CountedSource>()
  /** Applying pauses before the next set while it is held. */
  applyHeld = false
  closedEarly = 0
  private readonly setting: CoordinatorSetting
  /** Unsecured and unapplied sets, oldest first. */
  private readonly sets: SetProgress[] = []
  private readonly loads: Float64Array
  private forming: number
  private secured: number
  private applied: number
  private ceiling: number
  private turn = 0
  private periodBegan: number
  private lastConsistencyTime: number
  private readonly views: ViewChanges
  /** By unsecured set: volumes for which a component was responsible that has died since a view stood. */
  private readonly suspects = new Map<number, Set<number>>()
  private closeAsked: { label: string | undefined; reason: CloseReason } | undefined

  constructor(setting: CoordinatorSetting, nowMs: number) {
    this.setting = setting
    this.loads = new Float64Array(setting.board.layout.volumes)
    this.forming = setting.firstSet
    this.secured = setting.firstSet - 1
    this.applied = this.secured
    this.ceiling = this.secured
    this.periodBegan = nowMs
    this.lastConsistencyTime = 0
    const { board, mirrors, secondaries } = setting
    const founders = Array.from({ length: setting.founders }, (_, slot) => slot)
    this.views = new (setting.views ?? ViewChanges)({
      board,
      members: founders,
      mirrors,
      secondaries,
      sources: this.sources,
      repairResponsibility: (members, eligible) => this.repairResponsibility(members, eligible),
      publish: (positions) => setting.publishFinal(positions),
      isConserved: () => this.isAllConserved(),
      onReassigned: (view) => setting.onReassigned?.(view),
      onView: (view) => {
        this.suspects.clear()
        setting.onView(view)
      },
      wakeAll: () => this.wakeAll()
    })
    this.raiseCeilingFor(this.forming)
    roundRobin(this.table(this.forming), founders, 0)
    const before = this.secured | 0
    board.storeSealed(before)
    board.storeTransfer(before)
    board.storeSecured(before)
    board.storeCommit(before)
    board.storeApply(before)
    for (const slot of founders) {
      board.storeQuiet(slot, before)
      board.storeManifested(slot, before)
      board.storeDiscarded(slot, before)
    }
    for (let n = 0; n < secondaries; n++) {
      board.storeJournaled(n, before)
      board.storeApplied(n, before)
    }
    board.storeCommitted(before)
    board.storeApplying(before)
    board.storeMarked(before)
    board.storeNear(this.forming)
    board.storeForming(this.forming | 0)
  }

  get formingSet(): number {
    return this.forming
  }
  get securedSet(): number {
    return this.secured
  }
  get appliedSet(): number {
    return this.applied
  }
  get formedSet(): number {
    const unformed = this.sets.find((progress) => progress.state === 'closing' || progress.state === 'sealed')
    return (unformed === undefined ? this.forming : unformed.set) - 1
  }
  get applyingSet(): number | null {
    return this.sets.find((progress) => progress.state === 'applying')?.set ?? null
  }

  /** Ends the period at the next step. Returns the set that ends then. */
  closeSet(label: string | undefined, reason: CloseReason = 'asked'): number {
    if (this.closeAsked === undefined || label !== undefined) this.closeAsked = { label, reason }
    return this.forming
  }

  /** Whether a set was asked to be closed under another name and has not been closed yet. */
  get hasCloseAsked(): boolean {
    return this.closeAsked !== undefined
  }

  /**
   * Does all that can be done now. Returns the milliseconds until something is due.
   * @param nowMs  by a clock that only goes forward
   * @param wallMs  milliseconds since the epoch
   */
  step(nowMs: number, wallMs: number): number {
    this.lastConsistencyTime = Math.max(this.lastConsistencyTime, wallMs)
    this.views.step()
    while (this.apply() || (this.views.stands && (this.formAndSecure() || this.closeIfDue(nowMs)))) {
      // Each of them may have made another one possible.
    }
    const dueInMs = this.periodBegan + this.setting.periodMs - nowMs
    // The period is over and the set could not be closed: what it waits for rings.
    return dueInMs > 0 ? dueInMs : this.setting.periodMs
  }

  // Changes of view (view-changes.ts).

  get members(): readonly number[] {
    return this.views.members
  }
  get view(): number {
    return this.views.current
  }
  /** No change of view is under way. */
  get stands(): boolean {
    return this.views.stands
  }
  /** There are enough members for all copies. */
  get isRedundant(): boolean {
    return this.views.isRedundant
  }

  /** A component's thread has ended: nothing that it does can come any more. */
  failed(slot: number, replaced: boolean): void {
    this.suspect(slot)
    this.views.failed(slot, replaced)
  }
  /** A component that holds nothing is in its slot, and looks at the board. */
  ready(slot: number): void {
    this.views.ready(slot)
  }
  /** A component that holds nothing is in a new slot, and looks at the board. It gets volumes from the next set on. */
  join(slot: number): void {
    const { board } = this.setting
    board.storeDiscarded(slot, this.secured | 0)
    this.views.join(slot)
  }
  /** From now on nothing is given to it. */
  leave(slot: number): void {
    this.views.leave(slot)
  }
  /** Its thread is about to be ended. */
  go(slot: number): void {
    this.views.go(slot)
  }
  /** It is in no view that stood: what it holds does not count. */
  isFresh(slot: number): boolean {
    return this.views.isFresh(slot)
  }
  /** Slots of members that are given volumes, copies and sources. */
  get eligible(): readonly number[] {
    return this.views.eligible
  }
  isEligible(slot: number): boolean {
    return this.eligible.includes(slot)
  }
  /** A secondary component has been started again: it gets what it had not journaled. */
  secondaryReplaced(): void {
    this.views.begin()
  }
  /** Whether this component is given volumes in the forming set, and so works. */
  isServing(slot: number, sinceSet: number): boolean {
    return this.views.stands && this.forming > sinceSet && this.members.includes(slot)
  }

  private suspect(slot: number): void {
    for (let set = this.secured + 1; set <= this.forming; set++) {
      const volumes = this.suspects.get(set) ?? new Set<number>()
      this.suspects.set(set, volumes)
      for (const [volume, responsible] of this.table(set).entries()) if (responsible === slot) volumes.add(volume)
    }
  }

  private repairResponsibility(members: readonly number[], eligible: readonly number[]): void {
    for (let set = this.secured + 1; set <= this.forming; set++) {
      reassign(this.table(set), members, eligible, this.loads)
    }
  }

  /**
   * Everything acknowledged and unsecured is held by responsible components again; or else it is lost. What the secondary
   * has whole is not lost, though its confirm did not come yet: then that is awaited. False: ask again.
   */
  private isAllConserved(): boolean {
    const lost: LossError[] = []
    for (let set = this.secured + 1; set <= this.forming; set++) {
      const loss = this.lossIn(set)
      if (loss !== undefined) lost.push(loss)
    }
    if (lost.length === 0) return true
    if (this.canStillBeSecured(lost[0] as LossError)) return false
    throw LossError.together(lost)
  }

  private canStillBeSecured(loss: LossError): boolean {
    const progress = this.sets.find(({ set }) => set === loss.sets[0])
    if (progress === undefined) return false
    if (progress.state === 'transferring') this.commit(progress)
    if (progress.state !== 'committing') return false
    if (this.secureCommitted(progress)) return this.isAllConserved()
    return true
  }

  /** Wakes everyone who may have something to do because a word of the board has changed. */
  wakeComponents(): void {
    // Of all slots: whoever is on its way in or out has to see changes of view too.
    const { board } = this.setting
    for (let slot = 0; slot < board.layout.slots; slot++) board.parking[slot]?.wake()
  }

  wakeAll(): void {
    this.wakeComponents()
    this.wakeSecondaries()
  }

  private wakeSecondaries(): void {
    const { board, secondaries } = this.setting
    for (let n = 0; n < secondaries; n++) board.parking[board.layout.slots + n]?.wake()
  }

  private closeIfDue(nowMs: number): boolean {
    const newest = this.sets[this.sets.length - 1]
    if (newest !== undefined && (newest.state === 'closing' || newest.state === 'sealed')) return false
    if (!this.windowAllows()) return false
    const reason = this.reasonToClose(nowMs)
    if (reason === undefined) return false
    this.close(nowMs, reason)
    return true
  }

  private reasonToClose(nowMs: number): CloseReason | undefined {
    if (this.closeAsked !== undefined) return this.closeAsked.reason
    if (nowMs - this.periodBegan >= this.setting.periodMs) return 'period'
    if (this.isShortOfMemory()) return 'memory'
    return undefined
  }

  /** Someone waits for memory, and only the forming set can give any back: nothing earlier is still being secured. */
  private isShortOfMemory(): boolean {
    const { board } = this.setting
    let short = false
    const secured = (this.forming - 1) | 0
    for (const slot of this.members) {
      if (board.loadDiscarded(slot) !== secured) return false
      if (board.loadPressure(slot) === 1) short = true
    }
    return short
  }

  /** The tables of the next set are those of a set a window earlier: it must be gone everywhere. */
  private windowAllows(): boolean {
    const { board } = this.setting
    const gone = (this.forming + 1 - SET_WINDOW) | 0
    for (const slot of this.members) if (isAfter(gone, board.loadDiscarded(slot))) return false
    return this.sets.length < SET_WINDOW - 1
  }

  private close(nowMs: number, reason: CloseReason): void {
    const { board } = this.setting
    const set = this.forming
    const next = set + 1
    this.raiseCeilingFor(next)
    this.decideResponsibility(set, next)
    board.resetGroupSequence(next | 0)
    this.sets.push({
      set,
      label: this.closeAsked?.label,
      reason,
      consistencyTime: this.lastConsistencyTime,
      endedAtMs: nowMs,
      state: 'closing',
      updates: 0,
      bytes: 0,
      writtenBytes: 0
    })
    if (reason === 'memory') this.closedEarly++
    this.closeAsked = undefined
    this.periodBegan = nowMs
    this.forming = next
    // The tables above are in place before anyone can tag with the next set.
    board.storeNear(next)
    board.storeForming(next | 0)
    this.wakeComponents()
  }

  private decideResponsibility(set: number, next: number): void {
    const table = this.table(next)
    const { eligible } = this.views
    if (this.setting.policy === 'round-robin') roundRobin(table, eligible, ++this.turn)
    else balanced(table, this.table(set), eligible, this.loads)
    // Old load fades, so that the table follows a change within a few periods.
    for (let volume = 0; volume < this.loads.length; volume++) {
      this.loads[volume] = (this.loads[volume] as number) / 2
    }
  }

  private formAndSecure(): boolean {
    let progressed = false
    for (const progress of this.sets) {
      switch (progress.state) {
        case 'closing':
          progressed = this.seal(progress) || progressed
          break
        case 'sealed':
          progressed = this.form(progress) || progressed
          break
        case 'formed':
          progressed = this.release(progress) || progressed
          break
        case 'transferring':
          progressed = this.commit(progress) || progressed
          break
        case 'committing':
          progressed = this.secureCommitted(progress) || progressed
          break
        default:
      }
    }
    return progressed
  }

  private seal(progress: SetProgress): boolean {
    const { board } = this.setting
    for (const slot of this.members) {
      if (isAfter(progress.set | 0, board.loadQuiet(slot))) return false
    }
    progress.state = 'sealed'
    board.storeSealed(progress.set | 0)
    this.wakeComponents()
    return true
  }

  private form(progress: SetProgress): boolean {
    const { board } = this.setting
    for (const slot of this.members) {
      if (isAfter(progress.set | 0, board.loadManifested(slot))) return false
    }
    const held = this.checkConservation(progress.set)
    progress.updates = held.updates
    progress.bytes = held.bytes
    progress.state = 'formed'
    this.setting.onSet(progress)
    return true
  }

  private checkConservation(set: number): ManifestSum {
    const held = this.sumManifests(set, this.loads)
    const loss = this.lossIn(set, held)
    if (loss !== undefined) throw loss
    return held
  }

  private sumManifests(set: number, loads?: Float64Array): ManifestSum {
    const held = sumManifests(this.setting.tables, this.members, set | 0, this.table(set), loads)
    assert(held.misplaced < 0, `volume ${held.misplaced} has a second responsible component in set ${set}`)
    return held
  }

  /** What is acknowledged in this set and held by no responsible component. */
  private lossIn(set: number, held = this.sumManifests(set)): LossError | undefined {
    let updates = 0
    let names = 0
    for (const source of this.sources) {
      const tally = acknowledgedTo(source, set | 0, this.forming | 0)
      updates += tally.updates
      names = (names + tally.names) | 0
    }
    if (updates === held.updates && names === held.names) return undefined
    const { tables } = this.setting
    const known = volumesThatLost(this.sources, tables, this.members, set | 0, this.forming | 0)
    return new LossError([set], known ?? [...(this.suspects.get(set) ?? [])], updates, held.updates)
  }

  /** One set after the other: the next one is released when the one before is journaled everywhere. */
  private release(progress: SetProgress): boolean {
    for (const earlier of this.sets) {
      if (earlier === progress) break
      if (earlier.state === 'formed' || earlier.state === 'transferring' || earlier.state === 'committing') return false
    }
    if (this.setting.secondaries === 0 || progress.updates === 0) {
      this.secure(progress)
      return true
    }
    const { board } = this.setting
    board.storeSetFacts(progress.set | 0, progress.consistencyTime, progress.updates, progress.bytes)
    progress.state = 'transferring'
    board.storeTransfer(progress.set | 0)
    this.wakeComponents()
    return true
  }

  private commit(progress: SetProgress): boolean {
    const { board, secondaries } = this.setting
    for (let n = 0; n < secondaries; n++) {
      if (isAfter(progress.set | 0, board.loadJournaled(n))) return false
    }
    progress.state = 'committing'
    board.storeCommit(progress.set | 0)
    this.wakeSecondaries()
    return true
  }

  private secureCommitted(progress: SetProgress): boolean {
    if (isAfter(progress.set | 0, this.setting.board.loadCommitted())) return false
    this.secure(progress)
    return true
  }

  private secure(progress: SetProgress): void {
    progress.state = 'secured'
    this.secured = progress.set
    this.setting.onSet(progress)
    this.setting.board.storeSecured(progress.set | 0)
    this.wakeComponents()
  }

  /** Sets are applied whole and in order; one that holds nothing is applied when those before it are. */
  private apply(): boolean {
    const oldest = this.sets[0]
    if (oldest === undefined) return false
    if (oldest.state === 'applying') {
      const { board, secondaries } = this.setting
      if (isAfter(oldest.set | 0, board.loadMarked())) return false
      for (let n = 0; n < secondaries; n++) oldest.writtenBytes += board.loadWritten(n)
      return this.finishApply(oldest)
    }
    if (oldest.state !== 'secured' || this.applyHeld) return false
    if (this.setting.secondaries === 0 || oldest.updates === 0) return this.finishApply(oldest)
    oldest.state = 'applying'
    this.setting.board.storeApply(oldest.set | 0)
    this.wakeSecondaries()
    return true
  }

  private finishApply(progress: SetProgress): boolean {
    progress.state = 'applied'
    this.applied = progress.set
    this.sets.shift()
    this.setting.onSet(progress)
    return true
  }

  private raiseCeilingFor(set: number): void {
    if (set <= this.ceiling) return
    this.ceiling = set + CEILING_STEP
    this.setting.raiseCeiling(this.ceiling)
  }

  private table(set: number): Uint8Array {
    return this.setting.board.responsibility[set & SET_WINDOW_MASK] as Uint8Array
  }
}

import { type Board, WAY_SECONDARY, WAY_SPOOL } from '../memory/board.ts'
import type { SetTables } from '../memory/set-tables.ts'
import { SET_WINDOW } from '../memory/source-memory.ts'
import { Ceiling } from './ceiling.ts'
import { type CountedSource, LossError } from './conservation.ts'
import { Losses } from './losses.ts'
import { MemoryRelief } from './memory-relief.ts'
import type { Merging } from './merging.ts'
import { Period } from './period.ts'
import type { FinalPositions } from './rebuild.ts'
import { balanced, type ResponsibilityPolicy, reassign, roundRobin } from './responsibility.ts'
import { isAfter } from './set-identifier.ts'
import { type CloseReason, SetLine, type SetProgress } from './set-line.ts'
import type { Confirm } from './setting.ts'
import { Spool } from './spool.ts'
import { ViewChanges } from './view-changes.ts'

export interface CoordinatorSetting {
  readonly board: Board
  /** Components at the beginning, in slots 0 .. founders-1. */
  readonly founders: number
  readonly mirrors: number
  /** By slot. */
  readonly tables: readonly SetTables[]
  readonly policy: ResponsibilityPolicy
  readonly periodMs: number
  /** How old the applied copy may get, in milliseconds: periods are then as long as holds it, `periodMs` at most. */
  readonly lagTargetMs?: number | undefined
  /** Number of secondary components; 0 when sets are formed and dropped. */
  readonly secondaries: number
  /** Copies beside the responsible component's have no bytes. */
  readonly metadataOnly?: boolean
  /** What lets the next set be sent to the secondary. Default 'journaled'. */
  readonly confirm?: Confirm | undefined
  /** When memory is short for so long, sets go to the spool, or sources are said to be paced. Default 0. */
  readonly shortAfterMs?: number
  /**
   * Where formed sets may wait when memory is short. Once some do, later ones follow as long as a component holds more than
   * `eagerBytes`.
   */
  readonly spool?: { readonly limitBytes: number; readonly eagerBytes: number } | undefined
  /** The first set to be formed (whole number). */
  readonly firstSet: number
  /** Makes durable that identifiers below it may be handed out; called before they are. Throws: tried again if there is no room. */
  raiseCeiling(set: number): void
  /** There is no room for the ceiling, so that no set can be closed; undefined: there is again. */
  onNoSpace?(error: Error | undefined): void
  /** A set has become formed, secured or applied. */
  onSet(progress: SetProgress): void
  /** The first secondary component is told the name of a set before the board says that it may be committed. */
  tellLabel?(set: number, label: string): void
  /** Acknowledged positions are final and sources are attached: members are told before they rebuild. */
  publishFinal(positions: FinalPositions): void
  /** Roles are given anew. */
  onReassigned?(view: number): void
  /** A view stands again. */
  onView(view: number): void
  /** The applied copy is older than the target, by this age, and periods alone do not mend it. */
  onLag?(ageMs: number): void
  // The simulator's deliberately broken variants replace them.
  readonly views?: typeof ViewChanges
  readonly line?: typeof SetLine
  readonly spools?: typeof Spool
  readonly merging?: typeof Merging
}

/**
 * What the control thread decides: when periods end, who is responsible for what in the next one, how sets get on
 * (set-line.ts), what happens when members come and go (view-changes.ts), and whether something was lost (losses.ts). A state
 * machine over the board, driven by `step`; told the time.
 */
export class Coordinator {
  readonly sources = new Set<CountedSource>()
  /** The forming set stays open, whoever wants it closed; unless memory runs short. */
  closingHeld = false
  closedEarly = 0
  private readonly setting: CoordinatorSetting
  readonly spool: Spool | undefined
  private readonly line: SetLine
  readonly relief: MemoryRelief
  private readonly losses: Losses
  private readonly loads: Float64Array
  private forming: number
  private readonly ceiling: Ceiling
  private turn = 0
  private periodBegan: number
  private readonly period: Period
  private nowMs: number
  private lastConsistencyTime: number
  private readonly views: ViewChanges
  private closeAsked: { label: string | undefined; reason: CloseReason } | undefined

  constructor(setting: CoordinatorSetting, nowMs: number) {
    this.setting = setting
    this.loads = new Float64Array(setting.board.layout.volumes)
    this.forming = setting.firstSet
    this.ceiling = new Ceiling(
      { raise: (set) => setting.raiseCeiling(set), onNoSpace: (error) => setting.onNoSpace?.(error) },
      setting.firstSet - 1
    )
    this.periodBegan = nowMs
    this.period = new Period(setting, nowMs)
    this.nowMs = nowMs
    this.lastConsistencyTime = 0
    const { board, mirrors, secondaries, tables } = setting
    const shared = {
      board,
      sources: this.sources,
      members: () => this.views.members,
      forming: () => this.forming
    }
    this.losses = new Losses({ ...shared, tables })
    this.spool = setting.spool && new (setting.spools ?? Spool)(board, setting.spool.limitBytes)
    this.line = new (setting.line ?? SetLine)({
      ...shared,
      secondaries,
      confirm: setting.confirm ?? 'journaled',
      lastSet: setting.firstSet - 1,
      metadataOnly: setting.metadataOnly ?? false,
      merging: setting.merging,
      spool: this.spool,
      checkConservation: (set) => this.losses.check(set, this.loads),
      onSet: (progress) => this.onSet(progress),
      tellLabel: (set, label) => setting.tellLabel?.(set, label),
      askToClose: () => this.closeSet(undefined),
      wakeComponents: () => this.wakeComponents(),
      wakeSecondaries: () => this.wakeSecondaries()
    })
    this.relief = new MemoryRelief({
      board,
      line: this.line,
      spool: this.spool,
      afterMs: setting.shortAfterMs ?? 0,
      eagerBytes: setting.spool?.eagerBytes ?? Number.POSITIVE_INFINITY,
      members: shared.members,
      taken: () => [...this.sources].reduce((sum, { memory }) => (sum + memory.loadReleased()) | 0, 0),
      isWindowFull: () => !this.areTablesFree()
    })
    const founders = Array.from({ length: setting.founders }, (_, slot) => slot)
    this.views = new (setting.views ?? ViewChanges)({
      board,
      members: founders,
      mirrors,
      sources: this.sources,
      repairResponsibility: (members, eligible) => this.repairResponsibility(members, eligible),
      publish: (positions) => setting.publishFinal(positions),
      isConserved: () => this.isAllConserved(),
      onReassigned: (view) => setting.onReassigned?.(view),
      onView: (view) => {
        this.losses.clear()
        setting.onView(view)
      },
      wakeAll: () => this.wakeAll()
    })
    this.ceiling.raiseFor(this.forming)
    roundRobin(this.table(this.forming), founders, 0)
    const before = (setting.firstSet - 1) | 0
    board.storeSealed(before)
    board.storeTransferFrom(before)
    board.storeTransfer(before)
    board.storeSpool(before)
    board.storeSecured(before)
    board.storeCommit(before)
    board.storeApply(before)
    for (const slot of founders) {
      board.storeQuiet(slot, before)
      board.storeManifested(slot, before)
      board.storeDiscarded(slot, before)
    }
    for (let n = 0; n <= board.spoolIndex; n++) {
      board.storeReceived(n, before)
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
    return this.line.secured
  }
  /** Sets up to it are secured or kept by the spool. */
  get releasedSet(): number {
    return this.line.released
  }
  get appliedSet(): number {
    return this.line.applied
  }
  get formedSet(): number {
    return this.line.formed
  }
  get applyingSet(): number | null {
    return this.line.applying
  }
  /** Milliseconds that formation periods last now. */
  get periodMs(): number {
    return this.period.lengthMs
  }
  /** Applying pauses before the next set while it is held. */
  get applyHeld(): boolean {
    return this.line.applyHeld
  }
  set applyHeld(held: boolean) {
    this.line.applyHeld = held
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
    this.nowMs = nowMs
    this.views.step()
    this.stepMerging()
    while (this.line.apply() || (this.views.stands && (this.line.advance() || this.closeIfDue(nowMs)))) {
      // Each of them may have made another one possible.
    }
    const lagMs = this.period.lagToWarnOf(nowMs)
    if (lagMs !== undefined) this.setting.onLag?.(lagMs)
    const dueInMs = this.periodBegan + this.period.lengthMs - nowMs
    // The period is over and the set could not be closed: what it waits for rings.
    const closesInMs = dueInMs > 0 ? dueInMs : this.period.lengthMs
    return Math.min(closesInMs, this.ceiling.triesInMs(nowMs), this.relief.step(nowMs, this.views.stands))
  }

  private onSet(progress: SetProgress): void {
    if (progress.state === 'applied') this.period.applied(progress.endedAtMs, this.nowMs, progress.updates)
    this.setting.onSet(progress)
  }

  /** Bytes that were fetched again bind sets together as soon as all that was posted before has been taken. */
  private stepMerging(): void {
    const { merging } = this.line
    merging.step(() => this.forming)
    const isFetching = this.line.lacksBytes(this.forming) || !this.views.stands
    const lenient = !merging.isPending ? 0 : isFetching ? 1 : 2
    if (this.setting.board.loadLenient() === lenient) return
    this.setting.board.storeLenient(lenient)
    this.wakeComponents()
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

  /** A component's thread is told to end, or has come to its end, and is not fenced yet. */
  ends(slot: number): void {
    this.views.ends(slot)
  }
  /** A component's thread has ended: nothing that it does can come any more. */
  failed(slot: number, replaced: boolean): void {
    this.losses.suspect(slot, this.line.released + 1, this.forming)
    this.views.failed(slot, replaced)
  }
  /** A component that holds nothing is in its slot, and looks at the board. */
  ready(slot: number): void {
    this.views.ready(slot)
  }
  /** A component that holds nothing is in a new slot, and looks at the board. It gets volumes from the next set on. */
  join(slot: number): void {
    const { board } = this.setting
    board.storeDiscarded(slot, this.line.released | 0)
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
  /** A component has got bytes of a set (low bits) that were fetched again; before it is told so. */
  fetchEnded(set: number): void {
    this.line.fetchEnded(set)
  }

  /** A secondary component has been started again: it gets what it had not journaled. */
  secondaryReplaced(): void {
    this.views.begin()
  }

  /** The spool's thread has been started again. */
  spoolReplaced(): void {
    this.spool?.sendAgain()
    this.wakeComponents()
  }

  private repairResponsibility(members: readonly number[], eligible: readonly number[]): void {
    for (let set = this.line.released + 1; set <= this.forming; set++) {
      reassign(this.table(set), members, eligible, this.loads)
    }
  }

  /**
   * Everything acknowledged and unsecured is held by responsible components again; or else it is lost. What the secondary
   * has whole is not lost, though its confirm did not come yet: then that is awaited. False: ask again.
   */
  private isAllConserved(): boolean {
    const lost: LossError[] = []
    for (let set = this.line.released + 1; set <= this.forming; set++) {
      const loss = this.losses.of(set)
      if (loss !== undefined) lost.push(loss)
    }
    // Before what it had journaled is looked at: who has begun this epoch has told all of that before.
    const haveFollowed = this.haveReceiversFollowed()
    const missing = lost.filter(({ sets }) => !this.line.isAtSecondary(sets[0] as number))
    if (missing.length > 0) {
      if (!haveFollowed) return false
      throw LossError.together(lost)
    }
    // What is being committed is secured in a moment; what waits for later sets is safe where it is.
    return !lost.some(({ sets }) => this.line.isBeingCommitted(sets[0] as number))
  }

  private haveReceiversFollowed(): boolean {
    const { board, secondaries } = this.setting
    for (let n = 0; n < secondaries; n++) {
      if (board.loadSecondaryEpoch(n) !== board.loadEpoch(WAY_SECONDARY)) return false
    }
    return this.spool === undefined || board.loadSecondaryEpoch(board.spoolIndex) === board.loadEpoch(WAY_SPOOL)
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
    if (this.spool !== undefined) board.spoolParking.wake()
  }

  private closeIfDue(nowMs: number): boolean {
    if (this.line.isForming || !this.windowAllows() || !this.line.leavesRoom()) return false
    const reason = this.reasonToClose(nowMs)
    if (reason === undefined || !this.ceiling.allows(this.forming + 1, nowMs)) return false
    this.close(nowMs, reason)
    return true
  }

  private reasonToClose(nowMs: number): CloseReason | undefined {
    if (this.closingHeld) return this.isShortOfMemory() ? 'memory' : undefined
    if (this.closeAsked !== undefined) return this.closeAsked.reason
    if (nowMs - this.periodBegan >= this.period.lengthMs) return 'period'
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
      if (board.loadPressure(slot) !== 0) short = true
    }
    return short
  }

  /** The tables of the next set are those of a set a window earlier: it must be gone everywhere. */
  private windowAllows(): boolean {
    return this.areTablesFree() && this.line.waiting < SET_WINDOW - 1
  }

  /** So many sets have to be secured together that no more can be closed: the group cannot go on. */
  get isBoundTooFar(): boolean {
    return this.stands && this.line.isBoundToForming && this.forming - this.line.released >= SET_WINDOW
  }

  private areTablesFree(): boolean {
    const { board } = this.setting
    const gone = (this.forming + 1 - SET_WINDOW) | 0
    for (const slot of this.members) if (isAfter(gone, board.loadDiscarded(slot))) return false
    return true
  }

  private close(nowMs: number, reason: CloseReason): void {
    const { board } = this.setting
    const set = this.forming
    const next = set + 1
    this.decideResponsibility(set, next)
    board.resetGroupSequence(next | 0)
    this.line.sets.push({
      set,
      label: this.closeAsked?.label,
      reason,
      consistencyTime: this.lastConsistencyTime,
      endedAtMs: nowMs,
      state: 'closing',
      kept: false,
      together: set,
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

  private table(set: number): Uint8Array {
    return this.setting.board.responsibilityIn(set)
  }
}

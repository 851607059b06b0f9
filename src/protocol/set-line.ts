import { type Board, WAY_SECONDARY } from '../memory/board.ts'
import type { CountedSource, ManifestSum } from './conservation.ts'
import { Merging } from './merging.ts'
import { expandSet, isAfter } from './set-identifier.ts'
import type { Confirm } from './setting.ts'
import type { Spool } from './spool.ts'

/** Why a set was closed. */
export type CloseReason = 'period' | 'asked' | 'memory'

/**
 * What comes of it that memory is short:
 *   sending       a set is on its way to the spool; `sending slowly`: and that has not helped for long
 *   nothing       there is no set that is formed and held: one is being closed
 *   no spool      a formed set is held, and waits for the secondary
 *   spool full    the same; the spool's limit is reached
 *   bound         the same; the set is secured only together with later ones
 */
export type Relief = 'sending' | 'sending slowly' | 'nothing' | 'no spool' | 'spool full' | 'bound'

export interface SetProgress {
  readonly set: number
  readonly label: string | undefined
  readonly reason: CloseReason
  /** The instant that the set represents: when its period ended, by the wall clock; never decreases. */
  readonly consistencyTime: number
  /** The same instant by the clock that only goes forward. */
  readonly endedAtMs: number
  state:
    | 'closing'
    | 'sealed'
    | 'formed'
    | 'transferring'
    | 'journaled'
    | 'committing'
    | 'secured'
    | 'applying'
    | 'applied'
  /** The spool has it: components need not hold it any more, and the secondary takes it from there. */
  kept: boolean
  /** The set with which it is secured and applied as one, mostly itself. */
  together: number
  updates: number
  bytes: number
  writtenBytes: number
}

/** Unsecured sets, the forming one included, where only metadata is mirrored: half of the window. */
const MOST_WITH_METADATA = 8

/** Sets that the secondary has and has not applied, where later ones can wait in a spool: half of the window, too. */
const MOST_UNAPPLIED = 8

export interface SetLineSetting {
  readonly board: Board
  /** Number of secondary components; 0 when sets are formed and dropped. */
  readonly secondaries: number
  /** What lets the next set be sent: this one is journaled everywhere, or received everywhere. */
  readonly confirm: Confirm
  readonly sources: ReadonlySet<CountedSource>
  /** The last set of the time before (whole number). */
  readonly lastSet: number
  readonly metadataOnly: boolean
  readonly merging: typeof Merging | undefined
  readonly spool: Spool | undefined
  members(): readonly number[]
  forming(): number
  /** Everything acknowledged in the set is held; throws if not. */
  checkConservation(set: number): ManifestSum
  onSet(progress: SetProgress): void
  /** The first secondary component is told the name of a set before the board says that it may be committed. */
  tellLabel(set: number, label: string): void
  /** Ends the period soon. */
  askToClose(): void
  wakeComponents(): void
  wakeSecondaries(): void
}

/**
 * The sets from the end of their period to the secondary volumes, oldest first: sealed and formed when all components are
 * done with them, released to the secondary one after the other, secured, applied (figure 4).
 *
 *      closing -> sealed -> formed -> transferring -> journaled -> committing -> secured -> applying -> applied
 *      all quiet  manifests conserved  all journaled   with others  committed                marked
 *
 * Beside that, a set that is formed and not secured may come into the spool, so that its memory can be used again. It then
 * waits as formed until its turn comes, and is transferred from the spool (docs/pressure.md).
 */
export class SetLine {
  /** Unsecured and unapplied ones. */
  readonly sets: SetProgress[] = []
  readonly merging: Merging
  /** Applying pauses before the next set while it is held. */
  applyHeld = false
  secured: number
  applied: number
  /** Sets up to it are secured, or kept by the spool: components hold nothing of them. */
  released: number
  private readonly setting: SetLineSetting

  constructor(setting: SetLineSetting) {
    this.setting = setting
    this.secured = setting.lastSet
    this.applied = setting.lastSet
    this.released = setting.lastSet
    this.merging = new (setting.merging ?? Merging)(setting.sources)
  }

  get formed(): number {
    const unformed = this.sets.find((progress) => progress.state === 'closing' || progress.state === 'sealed')
    return (unformed === undefined ? this.setting.forming() : unformed.set) - 1
  }
  get applying(): number | null {
    return this.sets.find((progress) => progress.state === 'applying')?.set ?? null
  }
  /** One is not formed yet: the next one is not closed before. */
  get isForming(): boolean {
    const newest = this.sets[this.sets.length - 1]
    return newest !== undefined && (newest.state === 'closing' || newest.state === 'sealed')
  }

  /** The secondary has all parts of this set: it is whole there, though the confirm may be on its way. */
  isAtSecondary(set: number): boolean {
    const progress = this.sets.find((one) => one.set === set)
    if (progress?.state === 'transferring') this.noteJournaled(progress)
    if (progress?.state === 'journaled' || progress?.state === 'committing' || set <= this.secured) return true
    this.noteKept()
    return set <= this.released
  }

  /** Sets that the secondary has and has not applied, or that only components hold: those in the spool may be many. */
  get waiting(): number {
    return this.sets.filter(({ kept, state }) => !kept || state !== 'formed').length
  }

  /** False as soon as it is secured. */
  isBeingCommitted(set: number): boolean {
    const progress = this.sets.find((one) => one.set === set)
    return progress?.state === 'committing' && !this.secureCommitted(progress)
  }

  /**
   * Where bytes may have to be fetched again nothing is secured meanwhile, and the sets that will be secured as one have to be
   * closed then: there must always be places for them in the window.
   */
  leavesRoom(): boolean {
    const { metadataOnly, forming } = this.setting
    if (!metadataOnly || forming() - this.released <= MOST_WITH_METADATA) return true
    // Also of those that the spool has: they, too, may have been bound since.
    const bounds = this.sets.filter(({ set }) => set > this.secured).map(({ set }) => this.merging.boundOf(set))
    // Each fetch that ends binds its set to the forming one: that stays the same until all have ended.
    if (this.lacksBytes(forming()) || bounds.includes(undefined)) return false
    // Not before all others are journaled, so that this one is secured soon: a death before that may bind one more.
    return bounds.some((bound) => bound !== undefined && bound >= forming()) && !this.sets.some(isUnderWay)
  }

  /** Nothing can be secured before the forming set is closed: the oldest one is applied together with it. */
  get isBoundToForming(): boolean {
    return (this.boundOfOldest() ?? 0) >= this.setting.forming()
  }

  /** Nothing can be secured before what was posted has been taken: bytes of the oldest one, or of one bound to it, were fetched. */
  get waitsForTaking(): boolean {
    return this.merging.isPending && this.boundOfOldest() === undefined
  }

  /** The set with which the oldest one is secured at the earliest; undefined: not known yet. */
  private boundOfOldest(): number | undefined {
    let last = this.secured + 1
    for (let set = last; set <= last; set++) {
      const bound = this.merging.boundOf(set)
      if (bound === undefined) return undefined
      last = Math.max(last, bound)
    }
    return last
  }

  /** Bytes of this set, which were lost with a component, were fetched again; low bits. */
  fetchEnded(low: number): void {
    const forming = this.setting.forming()
    const set = expandSet(low, forming)
    // What the secondary has whole it is not sent again: it holds the bytes of that time.
    const isAtSecondary = this.sets.some((one) => one.set === set && !isUnderWay(one))
    if (!isAtSecondary) this.merging.fetchEnded(set)
  }

  /** Brings each of them on. Returns whether any got on. */
  advance(): boolean {
    let progressed = this.noteKept()
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
          progressed = this.noteJournaled(progress) || progressed
          break
        case 'journaled':
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
    for (const slot of this.setting.members()) {
      if (isAfter(progress.set | 0, board.loadQuiet(slot))) return false
    }
    progress.state = 'sealed'
    board.storeSealed(progress.set | 0)
    this.setting.wakeComponents()
    return true
  }

  private form(progress: SetProgress): boolean {
    const { board } = this.setting
    for (const slot of this.setting.members()) {
      if (isAfter(progress.set | 0, board.loadManifested(slot))) return false
    }
    const held = this.setting.checkConservation(progress.set)
    progress.updates = held.updates
    progress.bytes = held.bytes
    progress.state = 'formed'
    this.setting.onSet(progress)
    return true
  }

  /** One set after the other: the next one is released when the one before is confirmed everywhere. */
  private release(progress: SetProgress): boolean {
    let isAlone = true
    let first = progress
    for (const earlier of this.sets) {
      if (earlier === progress) break
      if (this.mustPrecede(earlier, progress)) return false
      if (earlier.state === 'journaled') isAlone = false
      if (earlier.state === 'transferring' && first === progress) first = earlier
    }
    const { board, secondaries } = this.setting
    if (secondaries === 0 || (!isSent(progress) && isAlone)) {
      this.secure(progress)
      return true
    }
    if (!isSent(progress)) return this.journaled(progress)
    if (this.lacksBytes(progress.set) || this.isApplyingBehind()) return false
    progress.state = 'transferring'
    if (progress.kept) {
      board.storeUnspool(progress.set | 0)
      this.setting.wakeSecondaries()
      return true
    }
    board.storeTransferFrom(first.set | 0)
    board.storeTransfer(progress.set | 0)
    this.setting.wakeComponents()
    return true
  }

  /**
   * Memory is short: the oldest set that components hold, if it is formed, goes to the spool as well. Whatever has it first,
   * the secondary or the spool, the other way is given up then.
   */
  keep(): Relief {
    const { spool } = this.setting
    if (spool?.sending !== undefined) return 'sending'
    const oldest = this.sets.find(({ set }) => set > this.released)
    if (oldest === undefined || oldest.state === 'closing' || oldest.state === 'sealed') return 'nothing'
    if (spool === undefined) return 'no spool'
    if (!isSent(oldest)) {
      oldest.kept = true
      this.giveBack()
      return this.keep()
    }
    // What lacks bytes, or is secured only together with later ones, stays where it is.
    if (this.merging.boundOf(oldest.set) !== oldest.set || this.lacksBytes(oldest.set)) return 'bound'
    if (!spool.hasRoomFor(oldest.updates, oldest.bytes)) return 'spool full'
    spool.send(oldest.set, oldest.updates, oldest.bytes)
    this.setting.wakeComponents()
    return 'sending'
  }

  /** A set that was on its way to the spool is there. */
  private noteKept(): boolean {
    const { spool } = this.setting
    const set = spool?.sending
    if (spool?.arrived() !== true) return false
    const progress = this.sets.find((one) => one.set === set)
    if (progress === undefined) return false
    progress.kept = true
    if (progress.state === 'transferring' && !this.noteJournaled(progress)) {
      this.giveUpTransfer(progress.set)
      this.sendLater()
    }
    this.giveBack()
    return true
  }

  /** The set is not sent to the secondary any more. Overridden in the simulator's broken variants only. */
  protected giveUpTransfer(set: number): void {
    const { board } = this.setting
    // In this order: who sees the new epoch does not send it again, and only then its memory changes hands.
    board.storeTransferFrom((set - 1) | 0)
    board.storeTransfer((set - 1) | 0)
    board.storeEpoch(WAY_SECONDARY, board.loadEpoch(WAY_SECONDARY) + 2)
    // It is awaited that they have followed.
    this.setting.wakeSecondaries()
  }

  /** Nothing is on its way any more: the later one of two would come before the first. Overridden in a broken variant only. */
  protected sendLater(): void {
    for (const one of this.sets) if (one.state === 'transferring') one.state = 'formed'
  }

  /** Components need not hold what is secured or kept, up to the first that is neither. */
  private giveBack(): void {
    let { released } = this
    for (const { set, kept, state } of this.sets) {
      if (set <= released) continue
      if (!kept && state !== 'secured') break
      released = set
    }
    if (released === this.released) return
    this.released = released
    this.setting.board.storeSecured(released | 0)
    this.setting.wakeComponents()
  }

  /**
   * Sets can be journaled faster than applied, and so many that no set can be closed any more. Where there is a spool they
   * wait there instead.
   */
  private isApplyingBehind(): boolean {
    if (this.setting.spool === undefined) return false
    const unapplied = this.sets.filter(({ state }) => state === 'secured' || state === 'applying')
    return unapplied.length >= MOST_UNAPPLIED
  }

  /** Overridden in the simulator's broken variants only. */
  protected mustPrecede(earlier: SetProgress, later: SetProgress): boolean {
    switch (earlier.state) {
      case 'formed':
        return true
      case 'transferring':
        return !this.mayOverlap(later) || earlier.kept || !this.isReceived(earlier.set)
      case 'committing':
        return !this.mayOverlap(later)
      default:
        return false
    }
  }

  /** It comes over the links, and behind what is on them. */
  private mayOverlap(later: SetProgress): boolean {
    return this.setting.confirm === 'mirrored' && isSent(later) && !later.kept
  }

  /** Overridden in the simulator's broken variants only. */
  protected isReceived(set: number): boolean {
    const { board, secondaries } = this.setting
    for (let n = 0; n < secondaries; n++) if (isAfter(set | 0, board.loadReceived(n))) return false
    return true
  }

  /** Bytes of this set, or of one before, are still fetched again. */
  lacksBytes(set: number): boolean {
    return this.setting.members().some((slot) => {
      const oldest = this.setting.board.loadMissing(slot)
      return oldest !== undefined && !isAfter(oldest, set | 0)
    })
  }

  private noteJournaled(progress: SetProgress): boolean {
    const { board, secondaries } = this.setting
    for (let n = 0; n < secondaries; n++) {
      if (isAfter(progress.set | 0, board.loadJournaled(n))) return false
    }
    return this.journaled(progress)
  }

  /** It is committed at once, and the next one waits for that; unless others have to be journaled first. */
  private journaled(progress: SetProgress): boolean {
    progress.state = 'journaled'
    if (progress.kept) this.setting.board.storeUnspool(undefined)
    this.commit(progress)
    return true
  }

  /** With it, all journaled ones before are committed; all that belong together must be among them. */
  private commit(progress: SetProgress): boolean {
    // An earlier one that was on its way when it was looked at may be journaled meanwhile: it comes first all the same.
    const comesFirst = ({ set, state }: SetProgress): boolean =>
      state === 'committing' || (state === 'transferring' && set < progress.set)
    if (this.sets.some(comesFirst)) return false
    const group = this.sets.filter(({ set, state }) => state === 'journaled' && set <= progress.set)
    for (const { set } of group) {
      const bound = this.merging.boundOf(set)
      if (bound === undefined || bound > progress.set) {
        // Nothing is secured before those sets are: they need not wait for the end of their period.
        if (bound !== undefined && bound >= this.setting.forming()) this.setting.askToClose()
        return false
      }
    }
    const sum = (of: (one: SetProgress) => number): number => group.reduce((total, one) => total + of(one), 0)
    const { board } = this.setting
    board.storeSetFacts(
      progress.set | 0,
      progress.consistencyTime,
      sum(({ updates }) => updates),
      sum(({ bytes }) => bytes)
    )
    // Only the instant of the last one will be in the volumes: it bears the name.
    const label = group.findLast((one) => one.label !== undefined)?.label
    if (label !== undefined) this.setting.tellLabel(progress.set, label)
    for (const one of group) one.together = progress.set
    progress.state = 'committing'
    board.storeCommit(progress.set | 0)
    this.setting.wakeSecondaries()
    return true
  }

  private secureCommitted(progress: SetProgress): boolean {
    if (isAfter(progress.set | 0, this.setting.board.loadCommitted())) return false
    this.secure(progress)
    return true
  }

  /** And all that are committed with it. */
  private secure(progress: SetProgress): void {
    for (const one of this.sets) {
      if (one !== progress && (one.together !== progress.set || one.state !== 'journaled')) continue
      one.state = 'secured'
      this.secured = one.set
      this.merging.secured(one.set)
      this.setting.onSet(one)
    }
    const { spool } = this.setting
    // Before its memory changes hands.
    if (spool?.sending !== undefined && spool.sending <= progress.set) spool.stop()
    this.giveBack()
    // A word that stayed behind for long would look as if it were ahead.
    if (spool === undefined) return
    if (spool.sending === undefined) this.setting.board.storeSpool(progress.set | 0)
    // It removes what is secured.
    this.setting.wakeSecondaries()
  }

  /** Sets are applied whole and in order; one that holds nothing is applied when those before it are. */
  apply(): boolean {
    const oldest = this.sets[0]
    if (oldest === undefined) return false
    const group = this.sets.filter(({ together }) => together === oldest.together)
    const last = group[group.length - 1] as SetProgress
    const { board, secondaries } = this.setting
    if (oldest.state === 'applying') {
      if (isAfter(last.set | 0, board.loadMarked())) return false
      for (let n = 0; n < secondaries; n++) last.writtenBytes += board.loadWritten(n)
      return this.finishApply(group)
    }
    if (oldest.state !== 'secured' || this.applyHeld) return false
    if (secondaries === 0 || !group.some(isSent)) return this.finishApply(group)
    for (const one of group) one.state = 'applying'
    board.storeApply(last.set | 0)
    this.setting.wakeSecondaries()
    return true
  }

  private finishApply(group: readonly SetProgress[]): boolean {
    for (const one of group) {
      one.state = 'applied'
      this.applied = one.set
      this.sets.shift()
      this.setting.onSet(one)
    }
    return true
  }
}

/** It is closed, and the secondary does not have it whole. */
function isUnderWay({ state }: SetProgress): boolean {
  return state === 'closing' || state === 'sealed' || state === 'formed' || state === 'transferring'
}

/** One that holds nothing costs the secondary nothing, unless it was named: then it is to be found again. */
function isSent({ updates, label }: SetProgress): boolean {
  return updates > 0 || label !== undefined
}

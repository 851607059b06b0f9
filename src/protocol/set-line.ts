import type { Board } from '../memory/board.ts'
import type { CountedSource, ManifestSum } from './conservation.ts'
import { Merging } from './merging.ts'
import { isAfter } from './set-identifier.ts'

/** Why a set was closed. */
export type CloseReason = 'period' | 'asked' | 'memory'

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
  /** The set with which it is secured and applied as one, mostly itself. */
  together: number
  updates: number
  bytes: number
  writtenBytes: number
}

/** Unsecured sets, the forming one included, where only metadata is mirrored: half of the window. */
const MOST_WITH_METADATA = 8

export interface SetLineSetting {
  readonly board: Board
  /** Number of secondary components; 0 when sets are formed and dropped. */
  readonly secondaries: number
  readonly sources: ReadonlySet<CountedSource>
  /** The last set of the time before (whole number). */
  readonly lastSet: number
  readonly metadataOnly: boolean
  readonly merging: typeof Merging | undefined
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
 */
export class SetLine {
  /** Unsecured and unapplied ones. */
  readonly sets: SetProgress[] = []
  readonly merging: Merging
  /** Applying pauses before the next set while it is held. */
  applyHeld = false
  secured: number
  applied: number
  private readonly setting: SetLineSetting

  constructor(setting: SetLineSetting) {
    this.setting = setting
    this.secured = setting.lastSet
    this.applied = setting.lastSet
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
    return progress?.state === 'journaled' || progress?.state === 'committing' || set <= this.secured
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
    if (!metadataOnly || forming() - this.secured <= MOST_WITH_METADATA) return true
    const bounds = this.sets.filter(({ set }) => set > this.secured).map(({ set }) => this.merging.boundOf(set))
    // Each fetch that ends binds its set to the forming one: that stays the same until all have ended.
    if (this.lacksBytes(forming()) || bounds.includes(undefined)) return false
    return bounds.some((bound) => bound !== undefined && bound >= forming())
  }

  /** Brings each of them on. Returns whether any got on. */
  advance(): boolean {
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

  /** One set after the other: the next one is released when the one before is journaled everywhere. */
  private release(progress: SetProgress): boolean {
    let isAlone = true
    for (const earlier of this.sets) {
      if (earlier === progress) break
      if (earlier.state === 'formed' || earlier.state === 'transferring' || earlier.state === 'committing') return false
      if (earlier.state === 'journaled') isAlone = false
    }
    const { board, secondaries } = this.setting
    if (secondaries === 0 || (!isSent(progress) && isAlone)) {
      this.secure(progress)
      return true
    }
    if (!isSent(progress)) return this.journaled(progress)
    if (this.lacksBytes(progress.set)) return false
    progress.state = 'transferring'
    board.storeTransfer(progress.set | 0)
    this.setting.wakeComponents()
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
    this.commit(progress)
    return true
  }

  /** With it, all journaled ones before are committed; all that belong together must be among them. */
  private commit(progress: SetProgress): boolean {
    if (this.sets.some(({ state }) => state === 'committing')) return false
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
    this.setting.board.storeSecured(progress.set | 0)
    this.setting.wakeComponents()
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

/** One that holds nothing costs the secondary nothing, unless it was named: then it is to be found again. */
function isSent({ updates, label }: SetProgress): boolean {
  return updates > 0 || label !== undefined
}

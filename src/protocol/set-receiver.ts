import type { Arena } from '../memory/arena.ts'
import { type Board, WAY_SECONDARY } from '../memory/board.ts'
import type { Link } from '../memory/link.ts'
import { PartsReceiver } from './parts-receiver.ts'
import { Patience } from './patience.ts'
import { RoomNotice, type RoomNoticeSetting } from './room-notice.ts'
import { expandSet, isAfter } from './set-identifier.ts'
import type { ResumedProgress, SetStore, StoreProgress } from './set-store.ts'
import { assert, type Surroundings } from './setting.ts'
import { journaledParts, loadTold, tellResumed } from './told.ts'

export interface ReceiverSetting extends RoomNoticeSetting {
  /** Which secondary component it is; the first one, 0, also keeps what they have in common. */
  readonly index: number
  readonly board: Board
  /** By slot: the link from that component, and its arena, from which bytes are read until the set is secured. */
  readonly links: readonly Link[]
  readonly arenas: readonly (Arena | undefined)[]
  /** The last set that was applied before (whole number). */
  readonly lastSet: number
  /** It takes the place of one that has died, and goes on with what that has left in the store. */
  readonly resume?: boolean
  /** New members have memory of their own: the last moment to put it into `arenas`. */
  readonly beforeRebuild?: () => void
  /** The name of a set that is to be committed; told before the board says so. Without it none has a name. */
  readonly labelOf?: (set: number) => string | undefined
  readonly tellsReceived?: boolean
  readonly surroundings: Surroundings
  // The simulator's deliberately broken variants replace it.
  readonly parts?: typeof PartsReceiver
}

/**
 * One secondary backup component: receives its part of each set from every component, or takes it from the spool, says when
 * it is journaled, applies sets whole and in order, and receives the next one meanwhile (R12; [0035], [0037], [0038]).
 */
export class SetReceiver {
  private readonly setting: ReceiverSetting
  private readonly store: SetStore
  private readonly parts: PartsReceiver
  /** The set that is being taken from the spool; 0 when none is. */
  private taking = 0
  /** What the predecessor may have died before telling. */
  private untold: ResumedProgress | undefined
  /** Sets (whole numbers) up to which this component has got. */
  private applied: number
  private applying = false
  // Of the first one only.
  private committed: number
  private announced: number
  private marked: number
  // Each by itself: images may be on another disk, and what is applied makes room for what is journaled.
  private readonly journaling = new Patience()
  private readonly committing = new Patience()
  private readonly finishing = new Patience()
  private readonly room: RoomNotice

  constructor(setting: ReceiverSetting, store: SetStore) {
    this.setting = setting
    this.store = store
    const { board, index, lastSet, resume = false } = setting
    this.room = new RoomNotice(setting, index)
    const told = resume ? loadTold(board, index) : undefined
    const progress = told && store.resume(told)
    if (told !== undefined && progress !== undefined) assertNoLess(progress, told)
    this.untold = progress
    this.applied = progress?.applied ?? lastSet
    this.committed = progress?.committed ?? lastSet
    this.announced = progress?.announced ?? lastSet
    this.marked = progress?.marked ?? lastSet
    const Parts = setting.parts ?? PartsReceiver
    this.parts = new Parts({ ...setting, way: WAY_SECONDARY }, store, progress?.journaled ?? lastSet, resume)
  }

  /** One turn of the duty cycle. Returns how much was done. */
  step(): number {
    const { board, index } = this.setting
    if (board.loadStall() === 1) return 0
    // Before the epoch: when a set comes from the spool, that has changed already, and nothing of it comes over the links.
    const unspool = board.loadUnspool()
    const kept = unspool === undefined ? 0 : expandSet(unspool, board.loadNear())
    let work = this.tellUntold() + this.parts.followEpoch()
    work += this.attempt(this.journaling, () => this.takeKept(kept) + this.parts.receive())
    if (index === 0) {
      work += this.attempt(this.committing, () => this.commit())
      work += this.attempt(this.finishing, () => this.announceAndMark() + this.apply())
    } else work += this.attempt(this.finishing, () => this.apply())
    return work
  }

  /** Milliseconds until it has something to do though nobody wakes it. */
  get dueInMs(): number {
    if (this.setting.board.loadStall() === 1) return Number.POSITIVE_INFINITY
    const now = this.setting.surroundings.clock()
    return Math.min(...[this.journaling, this.committing, this.finishing].map((patience) => patience.dueInMs(now)))
  }

  private attempt(patience: Patience, act: () => number): number {
    const work = patience.attempt(this.setting.surroundings.clock, act)
    this.room.tell(this.journaling.cause ?? this.committing.cause ?? this.finishing.cause)
    return work
  }

  /** Not in the constructor: it may die in between, as anywhere. Who was to be rung or woken is so in any case. */
  private tellUntold(): number {
    if (this.untold === undefined) return 0
    const { board, index, surroundings } = this.setting
    tellResumed(board, index, this.untold)
    this.untold = undefined
    if (index === 0) this.wakeOthers()
    else this.wakeFirst()
    surroundings.ring()
    return 1
  }

  /** This set is whole in the spool: if it is not journaled here, some of it is taken from there. */
  private takeKept(kept: number): number {
    if (kept <= this.parts.journaled) return 0
    if (this.taking !== kept) {
      this.parts.drop()
      this.store.beginKept(kept)
      this.taking = kept
    }
    if (!this.store.takeSome()) return 1
    this.store.gather()
    const facts = this.store.sync()
    this.taking = 0
    this.parts.tellJournaled(kept, facts)
    return 1
  }

  private commit(): number {
    const { board, surroundings, labelOf } = this.setting
    const commit = expandSet(board.loadCommit(), this.committed)
    if (commit <= this.committed) return 0
    const [consistencyTime, updates, bytes] = [
      board.setFact(commit, 0),
      board.setFact(commit, 1),
      board.setFact(commit, 2)
    ]
    const parts = journaledParts(board, this.committed, commit)
    this.store.commit({ set: commit, consistencyTime, updates, bytes, parts, label: labelOf?.(commit) })
    this.committed = commit
    board.storeCommitted(commit | 0)
    surroundings.ring()
    return 1
  }

  private announceAndMark(): number {
    const { board, surroundings } = this.setting
    const apply = expandSet(board.loadApply(), this.announced)
    if (apply > this.announced) {
      this.store.announce(apply)
      this.announced = apply
      board.storeApplying(apply | 0)
      this.wakeOthers()
      return 1
    }
    if (this.marked < this.announced && this.allApplied(this.announced | 0)) {
      this.store.mark(this.announced)
      this.marked = this.announced
      board.storeMarked(this.marked | 0)
      surroundings.ring()
      // Told first: removing large files takes its time.
      this.store.release(this.marked)
      return 1
    }
    return 0
  }

  private apply(): number {
    const { board, index } = this.setting
    if (!this.applying) {
      const next = expandSet(board.loadApplying(), this.applied)
      if (next <= this.applied) return 0
      this.store.beginApply(next)
      this.applied = next
      this.applying = true
    }
    if (this.store.applySome()) {
      this.applying = false
      board.storeWritten(index, this.store.writtenBytes)
      board.storeApplied(index, this.applied | 0)
      if (index !== 0) this.wakeFirst()
    }
    return 1
  }

  private allApplied(set: number): boolean {
    const { board } = this.setting
    for (let n = 0; n < board.layout.secondaries; n++) if (isAfter(set, board.loadApplied(n))) return false
    return true
  }

  private wakeFirst(): void {
    const { board } = this.setting
    board.parking[board.layout.slots]?.wake()
  }

  private wakeOthers(): void {
    const { board } = this.setting
    for (let n = 1; n < board.layout.secondaries; n++) board.parking[board.layout.slots + n]?.wake()
  }
}

function assertNoLess(found: StoreProgress, told: StoreProgress): void {
  for (const what of ['journaled', 'applied', 'committed', 'announced', 'marked'] as const) {
    assert(found[what] >= told[what], `${what} up to set ${told[what]} was told, up to set ${found[what]} is found`)
  }
}

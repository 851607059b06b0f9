import type { Arena } from '../memory/arena.ts'
import { type Board, FIRST_VIEW, PHASE_REBUILD, PHASE_RUN, PHASE_STOP } from '../memory/board.ts'
import { ENTRY_PART_BEGIN, ENTRY_PART_END, ENTRY_UPDATE, entryKind, entryValue, type Link } from '../memory/link.ts'
import { expandSet, isAfter } from './set-identifier.ts'
import type { ResumedProgress, SetStore, StoreProgress } from './set-store.ts'
import { assert, type Surroundings } from './setting.ts'
import { journaledParts, loadTold, tellResumed } from './told.ts'

/** Entries read from one link before another one has its turn. */
const BATCH = 1024
/** No word of the board is equal to it. */
const NO_VIEW = -1

export interface ReceiverSetting {
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
  readonly surroundings: Surroundings
}

/**
 * One secondary backup component: receives its part of each set from every component, says when it is journaled, applies
 * sets whole and in order, and receives the next one meanwhile (R12; [0035], [0037], [0038]).
 */
export class SetReceiver {
  private readonly setting: ReceiverSetting
  private readonly store: SetStore
  private readonly read: Int32Array
  private readonly ended: Uint8Array
  private parts = 0
  /** Slots of the members of the view: one part of each makes a set whole, and nobody else's link is looked at. */
  private members: readonly number[]
  /** The set whose parts are being received; 0 between sets. */
  private receiving = 0
  /** By slot: its part is of a set that is journaled already. */
  private readonly repeated: Uint8Array
  private view: number
  /**
   * Whether the links are its own to read. One that resumes does not know what its predecessor had read of them, and what it
   * had read of a part that it did not finish is lost; memory that was lent may have changed hands since. So it reads nothing
   * before it has restarted them in a change of view, in which all that is not journaled is sent again.
   */
  private joined: boolean
  /** What the predecessor may have died before telling. */
  private untold: ResumedProgress | undefined
  /** Sets (whole numbers) up to which this component has got. */
  private journaled: number
  private applied: number
  private applying = false
  // Of the first one only.
  private committed: number
  private announced: number
  private marked: number

  constructor(setting: ReceiverSetting, store: SetStore) {
    this.setting = setting
    this.store = store
    this.read = new Int32Array(setting.links.length)
    this.ended = new Uint8Array(setting.links.length)
    this.repeated = new Uint8Array(setting.links.length)
    const { board, index, lastSet, resume = false } = setting
    const told = resume ? loadTold(board, index) : undefined
    const progress = told && store.resume(told)
    if (told !== undefined && progress !== undefined) assertNoLess(progress, told)
    this.untold = progress
    this.journaled = progress?.journaled ?? lastSet
    this.applied = progress?.applied ?? lastSet
    this.committed = progress?.committed ?? lastSet
    this.announced = progress?.announced ?? lastSet
    this.marked = progress?.marked ?? lastSet
    this.joined = !resume
    this.members = board.loadMembers()
    const word = board.loadView()
    // A change that has not restarted the links yet waits for an answer of this component: it takes part in it. One that has
    // restarted them, or a view that stands, had the predecessor in it: the next one is awaited.
    const takesPart = (word & 3) === PHASE_STOP || (word & 3) === PHASE_REBUILD
    // One that the group begins with is in the first view, also when that is changing already.
    if (resume) this.view = takesPart ? NO_VIEW : word
    else this.view = FIRST_VIEW
  }

  /** One turn of the duty cycle. Returns how much was done. */
  step(): number {
    let work = this.tellUntold() + this.followView()
    if (this.joined && (this.view & 3) === PHASE_RUN) {
      for (const slot of this.members) work += this.receiveFrom(slot)
      work += this.finishPart()
    }
    if (this.setting.index === 0) work += this.keepCommon()
    work += this.apply()
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

  /** While a view changes nothing is received; parts that were not finished are dropped and sent again. */
  private followView(): number {
    const { board, index, links, surroundings } = this.setting
    const word = board.loadView()
    if (word === this.view) return 0
    this.view = word
    if ((word & 3) === PHASE_STOP) {
      this.parts = 0
      this.ended.fill(0)
      this.receiving = 0
    } else if ((word & 3) === PHASE_REBUILD) {
      this.read.fill(0)
      this.setting.beforeRebuild?.()
      this.members = board.loadMembers()
      for (const link of links) link.restartHolder()
      this.joined = true
    }
    board.storeSecondaryViewDone(index, word)
    surroundings.ring()
    return 1
  }

  private receiveFrom(slot: number): number {
    if (this.ended[slot] === 1) return 0
    const link = this.setting.links[slot] as Link
    const arena = this.setting.arenas[slot]
    if (arena === undefined) return 0
    const published = link.loadPublished()
    const before = this.read[slot] as number
    let at = before
    while (at !== published && ((at - before) | 0) < BATCH && this.ended[slot] === 0) {
      const word = link.entries[at & link.mask] as number
      switch (entryKind(word)) {
        case ENTRY_UPDATE:
          if (this.repeated[slot] === 0 && !this.append(arena, entryValue(word) * 8)) return 0
          break
        case ENTRY_PART_BEGIN:
          this.beginPart(slot, entryValue(word))
          break
        case ENTRY_PART_END:
          if (this.repeated[slot] === 1) break
          this.ended[slot] = 1
          this.parts++
          break
        default:
          assert(false, `entry of unknown kind from component ${slot}`)
      }
      at = (at + 1) | 0
    }
    if (at === before) return 0
    this.read[slot] = at
    link.storeNoted(at)
    this.setting.board.parking[slot]?.wake()
    return (at - before) | 0
  }

  /** False when what was read is no update, and the view has changed: its component has died, and the part is sent again. */
  private append(arena: Arena, address: number): boolean {
    try {
      this.store.append(arena, address)
      return true
    } catch (error) {
      // Looked at after the bytes were read: whoever spoils them has changed the view first.
      if (this.setting.board.loadView() === this.view) throw error
      return false
    }
  }

  private beginPart(slot: number, low: number): void {
    const set = this.journaled + (((low - (this.journaled & 0xfffffff)) << 4) >> 4)
    // Journaled here before a view changed: it is sent again by those who could not know, and passed over.
    this.repeated[slot] = set <= this.journaled ? 1 : 0
    if (this.repeated[slot] === 1 || this.receiving === set) return
    assert(this.receiving === 0, `a part of set ${set} was sent while set ${this.receiving} is received`)
    this.receiving = set
    this.store.begin(set)
  }

  /** When every component has ended its part: durable, then said. */
  private finishPart(): number {
    if (this.parts < this.members.length) return 0
    const { board, index, surroundings } = this.setting
    this.store.gather()
    // A component may have died, and its memory been given to another, while we read: then it is sent again.
    if (board.loadView() !== this.view) return 0
    const { updates, bytes } = this.store.sync()
    this.journaled = this.receiving
    // Before it is told: what has told journaled is counted in the commit record.
    board.storePartFacts(index, this.journaled, updates, bytes)
    this.parts = 0
    this.ended.fill(0)
    this.receiving = 0
    board.storeJournaled(index, this.journaled | 0)
    surroundings.ring()
    return 1
  }

  private keepCommon(): number {
    const { board, surroundings } = this.setting
    const commit = expandSet(board.loadCommit(), this.committed)
    if (commit > this.committed) {
      this.commit(commit)
      return 1
    }
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

  private commit(set: number): void {
    const { board, surroundings, labelOf } = this.setting
    const [consistencyTime, updates, bytes] = [board.setFact(set, 0), board.setFact(set, 1), board.setFact(set, 2)]
    const parts = journaledParts(board, this.committed, set)
    this.store.commit({ set, consistencyTime, updates, bytes, parts, label: labelOf?.(set) })
    this.committed = set
    board.storeCommitted(set | 0)
    surroundings.ring()
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

import type { Arena } from '../memory/arena.ts'
import { type Board, FIRST_EPOCH, WAY_SECONDARY, type WayNumber } from '../memory/board.ts'
import {
  ENTRY_EPOCH,
  ENTRY_PART_BEGIN,
  ENTRY_PART_END,
  ENTRY_UPDATE,
  entryKind,
  entryValue,
  type Link
} from '../memory/link.ts'
import type { PartFacts, PartStore } from './set-store.ts'
import { assert, type Surroundings } from './setting.ts'

/** Entries read from one link before another one has its turn. */
const BATCH = 1024

export interface PartsSetting {
  readonly way: WayNumber
  /** Its line on the board. */
  readonly index: number
  readonly board: Board
  /** By slot: the link from that component, and its arena, from which bytes are read until the set is secured. */
  readonly links: readonly Link[]
  readonly arenas: readonly (Arena | undefined)[]
  /** New members have memory of their own: the last moment to put it into `arenas`. */
  readonly beforeRebuild?: () => void
  /** It also tells when a set has been received, before it is journaled: then the next one may be sent. */
  readonly tellsReceived?: boolean
  readonly surroundings: Surroundings
}

/**
 * Receives a set: a part of it from every component, over links that carry addresses. When all parts have ended, and nothing
 * has made them void meanwhile, the set is made durable, and that is said.
 *
 * What is received belongs to an epoch of the way. When that changes (members have changed, or the set is not sent here any
 * more) everything unfinished is dropped: memory that was lent for it may hold something else by now. Nobody waits for a
 * receiver to notice: it looks at the epoch once more after it has read the last byte.
 */
export class PartsReceiver {
  /** The set up to which all is journaled here (whole number). */
  journaled: number
  private readonly setting: PartsSetting
  private readonly store: PartStore
  private readonly read: Int32Array
  private readonly ended: Uint8Array
  /** By slot: what is read there now is of this epoch; and it is of a set that is journaled already. */
  private readonly current: Uint8Array
  private readonly repeated: Uint8Array
  private parts = 0
  /** Slots of the members: one part of each makes a set whole, and nobody else's link is looked at. */
  private members: readonly number[]
  /** The set whose parts are being received; 0 between sets. */
  private receiving = 0
  private epoch: number
  /**
   * One that takes the place of a dead one does not know what that had read of parts that it did not finish. So it reads
   * nothing before the epoch changes, and all that is not journaled is sent again.
   */
  private joined: boolean
  /** What the store could not do just now. */
  private refused: unknown

  constructor(setting: PartsSetting, store: PartStore, journaled: number, resume: boolean) {
    const { links, board, way } = setting
    this.setting = setting
    this.store = store
    this.journaled = journaled
    // Links go on, whoever reads them.
    this.read = Int32Array.from(links, (link) => link.lastNoted())
    this.ended = new Uint8Array(links.length)
    this.current = new Uint8Array(links.length)
    this.repeated = new Uint8Array(links.length)
    this.members = board.loadMembers()
    this.joined = !resume
    // One that the group begins with is in the first epoch, also when that has changed already.
    this.epoch = resume ? board.loadEpoch(way) : FIRST_EPOCH
  }

  followEpoch(): number {
    const { board, way, index, surroundings } = this.setting
    const epoch = board.loadEpoch(way)
    if (epoch === this.epoch) return 0
    this.epoch = epoch
    this.drop()
    // While it is odd members change.
    if ((epoch & 1) === 0) {
      this.setting.beforeRebuild?.()
      this.members = board.loadMembers()
      this.joined = true
    }
    board.storeSecondaryEpoch(index, epoch)
    surroundings.ring()
    return 1
  }

  /** Receives on. Returns how much was done. Whatever the store throws, this can be called again. */
  receive(): number {
    if (!this.joined || (this.epoch & 1) === 1) return 0
    let work = 0
    for (const slot of this.members) work += this.receiveFrom(slot)
    return work + this.finish()
  }

  /** Nothing of this set is received any more: it comes from elsewhere. */
  drop(): void {
    this.parts = 0
    this.ended.fill(0)
    this.current.fill(0)
    this.receiving = 0
  }

  /**
   * The set is durable here.
   * @param facts  what was journaled of it
   */
  tellJournaled(set: number, facts?: PartFacts): void {
    const { board, way, index, surroundings } = this.setting
    this.journaled = set
    // Before it is told: what a secondary component has told journaled is counted in the commit record.
    if (facts !== undefined && way === WAY_SECONDARY) board.storePartFacts(index, set, facts.updates, facts.bytes)
    board.storeJournaled(index, set | 0)
    surroundings.ring()
  }

  /** Parts of the next one wait in the links until this one is journaled. */
  private tellReceived(set: number): void {
    const { board, index, surroundings, tellsReceived } = this.setting
    if (tellsReceived !== true) return
    board.storeReceived(index, set | 0)
    surroundings.ring()
  }

  /** Overridden in the simulator's broken variants only. */
  protected isJournaled(set: number): boolean {
    return set <= this.journaled
  }

  /** Overridden in the simulator's broken variants only. */
  protected isStillOf(epoch: number): boolean {
    return epoch === this.epoch
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
      if (!this.take(slot, arena, link.entries[at & link.mask] as number)) break
      at = (at + 1) | 0
    }
    if (at !== before) {
      this.read[slot] = at
      link.storeNoted(at)
      this.setting.board.parking[slot]?.wake()
    }
    if (this.refused !== undefined) {
      const error = this.refused
      this.refused = undefined
      throw error
    }
    return (at - before) | 0
  }

  /** False when the entry is to be looked at again. */
  private take(slot: number, arena: Arena, word: number): boolean {
    const kind = entryKind(word)
    const value = entryValue(word)
    if (kind === ENTRY_EPOCH) return this.enter(slot, value)
    // Of an older epoch: its address leads anywhere.
    if (this.current[slot] === 0) return true
    switch (kind) {
      case ENTRY_UPDATE:
        return this.repeated[slot] === 1 || this.append(arena, value * 8)
      case ENTRY_PART_BEGIN:
        return this.beginPart(slot, value)
      case ENTRY_PART_END:
        if (this.repeated[slot] === 1) return true
        this.ended[slot] = 1
        this.parts++
        return true
      default:
        assert(false, `entry of unknown kind from component ${slot}`)
    }
  }

  /** One of an epoch that this has not seen yet waits until it has. */
  private enter(slot: number, low: number): boolean {
    const ahead = ((low - (this.epoch & 0xfffffff)) << 4) >> 4
    if (ahead > 0) return false
    this.current[slot] = ahead === 0 ? 1 : 0
    return true
  }

  private append(arena: Arena, address: number): boolean {
    try {
      this.store.append(arena, address)
      return true
    } catch (error) {
      return this.refuse(error)
    }
  }

  private beginPart(slot: number, low: number): boolean {
    const near = this.setting.board.loadNear()
    const set = near + (((low - (near & 0xfffffff)) << 4) >> 4)
    // Journaled here before the epoch changed: it is sent again by those who could not know, and passed over.
    this.repeated[slot] = this.isJournaled(set) ? 1 : 0
    if (this.repeated[slot] === 1 || this.receiving === set) return true
    assert(this.receiving === 0, `a part of set ${set} was sent while set ${this.receiving} is received`)
    try {
      this.store.begin(set)
    } catch (error) {
      return this.refuse(error)
    }
    this.receiving = set
    return true
  }

  /** What was read may be no update: whoever spoils it has changed the epoch first, so that is looked at after reading. */
  private refuse(error: unknown): boolean {
    if (this.setting.board.confirmEpoch(this.setting.way) === this.epoch) this.refused = error
    return false
  }

  /** When every component has ended its part: durable, then said. */
  private finish(): number {
    if (this.parts < this.members.length) return 0
    const { board, way } = this.setting
    this.store.gather()
    // What was lent may have been given to another while we read: then the set is sent again, or comes from elsewhere.
    if (!this.isStillOf(board.confirmEpoch(way))) return 0
    const set = this.receiving
    this.tellReceived(set)
    const facts = this.store.sync()
    this.drop()
    // The next one's parts say their epoch themselves.
    this.tellJournaled(set, facts)
    return 1
  }
}

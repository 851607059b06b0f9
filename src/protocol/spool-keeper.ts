import { WAY_SPOOL } from '../memory/board.ts'
import { PartsReceiver, type PartsSetting } from './parts-receiver.ts'
import { Patience } from './patience.ts'
import { RoomNotice, type RoomNoticeSetting } from './room-notice.ts'
import { expandSet } from './set-identifier.ts'
import type { PartStore } from './set-store.ts'

/** Where the spool puts sets: files at run time, memory in the simulator. */
export interface SpoolStore extends PartStore {
  /**
   * What a predecessor has left that is whole, up to which set.
   * @param told, removed  what it had told: sets up to these are whole, are secured and removed
   */
  resume(told: number, removed: number): number
  /** Sets up to this one are secured: nobody takes them from here any more. */
  remove(upTo: number): void
}

export interface KeeperSetting extends Omit<PartsSetting, 'way' | 'index'>, RoomNoticeSetting {
  /** The last set of the time before (whole number). */
  readonly lastSet: number
  readonly resume?: boolean
  // The simulator's deliberately broken variants replace it.
  readonly parts?: typeof PartsReceiver
}

/**
 * The spool's own thread: receives sets as a secondary component does, all volumes of them, and makes them durable; removes
 * those that are secured. Secondary components read what it keeps by themselves (SetStore.beginKept).
 */
export class SpoolKeeper {
  private readonly setting: KeeperSetting
  private readonly store: SpoolStore
  private readonly parts: PartsReceiver
  private readonly keeping = new Patience()
  private removed: number
  private untold: boolean
  private readonly room: RoomNotice

  constructor(setting: KeeperSetting, store: SpoolStore) {
    const { board, lastSet, resume = false } = setting
    this.setting = setting
    this.store = store
    this.room = new RoomNotice(setting, board.spoolIndex)
    const told = resume ? expandSet(board.loadJournaled(board.spoolIndex), board.loadNear()) : lastSet
    this.removed = resume ? expandSet(board.loadApplied(board.spoolIndex), board.loadNear()) : lastSet
    const kept = resume ? store.resume(told, this.removed) : lastSet
    this.untold = kept > told
    const Parts = setting.parts ?? PartsReceiver
    this.parts = new Parts({ ...setting, way: WAY_SPOOL, index: board.spoolIndex }, store, kept, resume)
  }

  /** One turn of the duty cycle. Returns how much was done. */
  step(): number {
    const work = this.tellUntold() + this.parts.followEpoch() + this.remove()
    const kept = this.keeping.attempt(this.setting.surroundings.clock, () => this.parts.receive())
    this.room.tell(this.keeping.cause)
    return work + kept
  }

  get dueInMs(): number {
    return this.keeping.dueInMs(this.setting.surroundings.clock())
  }

  private tellUntold(): number {
    if (!this.untold) return 0
    this.untold = false
    this.parts.tellJournaled(this.parts.journaled)
    return 1
  }

  /** Committed is durable at the secondary, of all components. */
  private remove(): number {
    const { board, surroundings } = this.setting
    const secured = expandSet(board.loadCommitted(), this.removed)
    if (secured <= this.removed) return 0
    this.removed = secured
    // Told before it is done: a successor does not miss what is gone. It can die in between: then files stay until the next time.
    board.storeApplied(board.spoolIndex, secured | 0)
    // Also one that is being received is not to be kept any more: it is safer than it would be here.
    if (secured > this.parts.journaled) {
      this.parts.drop()
      this.parts.tellJournaled(secured)
    }
    this.store.remove(secured)
    surroundings.ring()
    return 1
  }
}

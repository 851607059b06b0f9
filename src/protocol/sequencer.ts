import { NEXT_OF_VOLUME } from '../memory/set-tables.ts'
import type { Setting } from './setting.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const NEXT = NEXT_OF_VOLUME

/**
 * Sequence identifiers, by what orders the updates (R6): each volume's running numbers in each set, one running number for
 * the group in each set, or time stamps of the common timer. The latter two are fetched for a batch at once, after the
 * published position of the batch was loaded, so that what was acknowledged before has lower ones; gaps are allowed.
 */
export class Sequencer {
  private readonly setting: Setting
  /** Each volume's running numbers; and otherwise: time stamps, or one running number of the group. */
  private readonly isByVolume: boolean
  private readonly isByTime: boolean
  private next = 0
  private left = 0
  private set = 0

  constructor(setting: Setting) {
    this.setting = setting
    // Once: what was posted to a thread is not compared as fast as a literal.
    this.isByVolume = setting.ordering === 'volume-sequence'
    this.isByTime = setting.ordering === 'timestamp'
  }

  /** A batch of at most `count` updates from a source begins. */
  begin(set: number, count: number): void {
    if (this.isByVolume) return
    this.set = set
    this.fetch(count)
  }

  /** A batch of at most `count` updates from another component begins; the takers have stamped them. */
  beginReceived(set: number, count: number): void {
    if (!this.isByVolume && !this.isByTime) this.begin(set, count)
  }

  /** By the responsible component, for an update that it takes itself. */
  give(): number {
    return this.isByVolume ? NEXT : this.take()
  }

  /** `give` or `stamp`, for an update that is surely of the batch. */
  giveInBatch(isOwn: boolean): number {
    return (isOwn ? this.isByVolume : !this.isByTime) ? NEXT : this.takeFetched()
  }

  /** By the responsible component, for an update of `set` that another one took; `stamp` is what that one wrote. */
  giveReceived(set: number, stamp: number): number {
    if (this.isFetched(set)) return this.giveFetched(stamp)
    if (set !== this.set) {
      this.set = set
      this.fetch(1)
    }
    return this.take()
  }

  /** Whether nothing has to be fetched for an update of this set. */
  isFetched(set: number): boolean {
    return this.isByVolume || this.isByTime || (set === this.set && this.left > 0)
  }

  /** `giveReceived`, where it `isFetched`. */
  giveFetched(stamp: number): number {
    if (this.isByVolume) return NEXT
    return this.isByTime ? stamp : this.takeFetched()
  }

  /** By a taker that is not responsible: its time stamp, or 0 where the responsible component gives the number. */
  stamp(): number {
    return this.isByTime ? this.take() : 0
  }

  private take(): number {
    if (this.left === 0) this.fetch(1)
    return this.takeFetched()
  }

  private takeFetched(): number {
    this.left--
    return this.next++
  }

  private fetch(count: number): void {
    const { board, surroundings } = this.setting
    this.next = this.isByTime
      ? board.takeStamps(surroundings.clock(), count)
      : board.takeGroupSequences(this.set, count)
    this.left = count
  }
}

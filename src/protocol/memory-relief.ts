import { ALL_USED, type Board, STAT_HELD_BYTES } from '../memory/board.ts'
import type { Relief, SetLine } from './set-line.ts'
import type { Spool } from './spool.ts'

export interface MemoryReliefSetting {
  readonly board: Board
  readonly line: SetLine
  readonly spool: Spool | undefined
  /** Memory that is given back within this time was not short. */
  readonly afterMs: number
  /** Once the spool is in use sets follow as long as a component holds more than this. */
  readonly eagerBytes: number
  members(): readonly number[]
  /** Changes whenever something is taken. */
  taken(): number
  /** Sets cannot be closed as too many earlier ones are held. */
  isWindowFull(): boolean
}

/** Memory that is short for so long though the spool takes sets: it does not take them fast enough. */
const SLOW_MS = 1000
/** So long nothing is taken, though nothing else can give memory back. */
const STUCK_MS = 10_000

/** What is done when somebody waits for memory, after the set was closed early: sets go to the spool (docs/pressure.md). */
export class MemoryRelief {
  private readonly setting: MemoryReliefSetting
  private shortSince: number | undefined
  private relieved: Relief | undefined
  private takenBefore: number | undefined
  private standsSince = 0
  private nowMs = 0

  constructor(setting: MemoryReliefSetting) {
    this.setting = setting
  }

  /** Somebody waits for memory. */
  get isShort(): boolean {
    return this.setting.members().some((slot) => this.setting.board.loadPressure(slot) !== 0)
  }
  /**
   * What was posted has to be taken before anything can be secured (metadata-only mirrors), and a component has no memory for
   * it, spare memory included: it would go on like that.
   */
  get isStuck(): boolean {
    return this.takenBefore !== undefined && this.nowMs - this.standsSince >= STUCK_MS
  }
  /** What came of it that memory is short; undefined when it is not, or not for long. */
  get outcome(): Relief | undefined {
    return this.relieved
  }

  /** Returns the milliseconds until something may have to be done. @param stands  no view is changing */
  step(nowMs: number, stands: boolean): number {
    const { board, spool, line } = this.setting
    spool?.forget()
    let dueInMs = Number.POSITIVE_INFINITY
    if (stands && (this.isShort || this.setting.isWindowFull())) dueInMs = this.relieve(nowMs)
    else {
      this.shortSince = undefined
      this.relieved = undefined
      // Before it is short again: the spool, too, needs its time for each set.
      if (stands && spool?.isEmpty === false && this.holdsMuch()) line.keep()
    }
    board.storeSpooledBytes(spool?.bytes ?? 0)
    return Math.min(dueInMs, this.watch(nowMs, stands))
  }

  private watch(nowMs: number, stands: boolean): number {
    const { board, line, members, taken } = this.setting
    const isFull = stands && line.waitsForTaking && members().some((slot) => board.loadPressure(slot) === ALL_USED)
    const before = this.takenBefore
    this.nowMs = nowMs
    this.takenBefore = isFull ? taken() : undefined
    if (this.takenBefore !== before) this.standsSince = nowMs
    return isFull ? Math.max(0, this.standsSince + STUCK_MS - nowMs) : Number.POSITIVE_INFINITY
  }

  private relieve(nowMs: number): number {
    const { spool, line, afterMs } = this.setting
    this.shortSince ??= nowMs
    // Once the spool is in use the secondary is known to be slow.
    const restMs = spool?.isEmpty === false ? 0 : this.shortSince + afterMs - nowMs
    if (restMs > 0) return restMs
    const relief = line.keep()
    const slowInMs = relief === 'sending' ? this.shortSince + SLOW_MS - nowMs : Number.POSITIVE_INFINITY
    this.relieved = slowInMs > 0 ? relief : 'sending slowly'
    return slowInMs > 0 ? slowInMs : Number.POSITIVE_INFINITY
  }

  private holdsMuch(): boolean {
    const { board, eagerBytes } = this.setting
    const heldBy = (slot: number): number => (board.statistics[slot] as Float64Array)[STAT_HELD_BYTES] as number
    return this.setting.members().some((slot) => heldBy(slot) > eagerBytes)
  }
}

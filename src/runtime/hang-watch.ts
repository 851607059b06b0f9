import type { Board } from '../memory/board.ts'

/** Looks, spread over the time within which a hang is to be found; each without progress counts one. */
const TICKS = 8
const SHORTEST_TICK_MS = 5
/** How much longer it takes until one more than may be lost is given up as well: else everybody would wait for it for ever. */
const PATIENCE = 10

/**
 * Finds components that hang: their beat does not move though they are not asleep. It is counted in this thread's own ticks,
 * not in time: after the whole process was stopped for a while everyone would seem to hang, and one tick has passed.
 */
export class HangWatch {
  readonly tickMs: number
  private readonly board: Board
  private readonly mostLost: number
  /** By slot. */
  private readonly beats: number[] = []
  private readonly still: number[] = []
  /** Ended on suspicion, or dead, since everything was redundant: copies were lost with them. */
  private lost = 0

  /**
   * @param mirrors  while so many are dead, or were ended on suspicion, nobody is ended on mere suspicion: with one more than
   * that the last copies may go, and on a busy machine it may just have had no core
   */
  constructor(board: Board, hangTimeoutMs: number, mirrors: number) {
    this.board = board
    this.tickMs = Math.max(SHORTEST_TICK_MS, hangTimeoutMs / TICKS)
    this.mostLost = mirrors
  }

  /** A component begins in this slot. */
  began(slot: number): void {
    this.beats[slot] = this.board.loadBeat(slot)
    this.still[slot] = 0
  }

  isRedundant(): void {
    this.lost = 0
  }

  /** One that held copies has died. */
  died(): void {
    this.lost++
  }

  /**
   * Those of the slots whose components are to be ended now.
   * @param holdsNothing  ending it costs no copy
   */
  tick(slots: readonly number[], holdsNothing: (slot: number) => boolean): number[] {
    return slots.filter((slot) => this.isStill(slot) && this.mayEnd(slot, holdsNothing(slot)))
  }

  /** It has made progress since the tick before. */
  isMoving(slot: number): boolean {
    return this.still[slot] === 0
  }

  private isStill(slot: number): boolean {
    const { board, beats, still } = this
    const beat = board.loadBeat(slot)
    if (beat !== beats[slot] || board.parking[slot]?.isParked() === true) {
      beats[slot] = beat
      still[slot] = 0
      return false
    }
    still[slot] = (still[slot] ?? 0) + 1
    return (still[slot] as number) >= TICKS
  }

  private mayEnd(slot: number, holdsNothing: boolean): boolean {
    const isSuspicion = (this.still[slot] as number) < TICKS * PATIENCE
    if (isSuspicion && !holdsNothing && this.lost >= this.mostLost) return false
    if (!holdsNothing) this.lost++
    this.still[slot] = 0
    return true
  }
}

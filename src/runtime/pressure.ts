import { type Board, STAT_HELD_BYTES } from '../memory/board.ts'
import type { Coordinator } from '../protocol/coordinator.ts'
import type { ControlNotice, PressureStep } from './messages.ts'

export interface PressureSetting {
  readonly board: Board
  readonly coordinator: Coordinator
  /** Undefined: there is no spool. */
  readonly limitBytes: number | undefined
  tell(notice: ControlNotice): void
}

/** Steps that the control thread sees begin and end, in the order in which they are taken. */
const WATCHED = ['close-early', 'spool', 'pace'] as const
/** Memory that is short with every set is one story, not one at each set. */
const QUIET_MS = 1000

/** Tells the host what is done about memory that is short (docs/pressure.md). */
export class Pressure {
  private readonly setting: PressureSetting
  /** Steps that have begun, and when each was last needed. */
  private readonly begun = new Map<PressureStep, number>()

  constructor(setting: PressureSetting) {
    this.setting = setting
  }

  /** Returns the milliseconds until a step may end by itself. */
  step(nowMs: number): number {
    const reasons = this.reasons()
    let dueInMs = Number.POSITIVE_INFINITY
    // What was relieved by a later step ends after it.
    for (const step of [...WATCHED].reverse()) {
      const neededMs = this.begun.get(step)
      if (neededMs === undefined || reasons[step] !== undefined) continue
      const restMs = step === 'close-early' ? neededMs + QUIET_MS - nowMs : 0
      if (restMs <= 0) this.end(step)
      else dueInMs = Math.min(dueInMs, restMs)
    }
    for (const step of WATCHED) {
      const reason = reasons[step]
      if (reason === undefined) continue
      if (!this.begun.has(step)) this.tell(step, 'begin', reason)
      this.begun.set(step, nowMs)
    }
    return dueInMs
  }

  /** The group is closed: nobody waits any more. */
  close(): void {
    for (const step of [...WATCHED].reverse()) if (this.begun.has(step)) this.end(step)
  }

  private end(step: PressureStep): void {
    this.begun.delete(step)
    const ends: Partial<Record<PressureStep, string>> = {
      'close-early': 'no component waits for memory',
      spool: 'the spool is empty: the secondary has all that was in it',
      pace: 'there is memory again'
    }
    this.tell(step, 'end', ends[step] ?? '')
  }

  private tell(step: PressureStep, state: 'begin' | 'end', reason: string): void {
    const { board, coordinator, tell } = this.setting
    const heldBytes = coordinator.members.reduce(
      (sum, slot) => sum + ((board.statistics[slot] as Float64Array)[STAT_HELD_BYTES] as number),
      0
    )
    const spooledBytes = coordinator.spool?.bytes ?? 0
    tell({ type: 'pressure', report: { step, state, reason, heldBytes, spooledBytes } })
  }

  private reasons(): Partial<Record<PressureStep, string>> {
    const { coordinator } = this.setting
    const { spool, securedSet, relief } = coordinator
    const { isShort } = relief
    const pace = isShort ? this.paced() : undefined
    return {
      ...(isShort && { 'close-early': 'a component has no free memory: the set is closed early' }),
      ...(spool?.isEmpty === false && {
        spool: `the secondary has not secured set ${securedSet + 1}, and memory is short: formed sets go to the spool`
      }),
      ...(pace !== undefined && { pace: `sources wait: ${pace}` })
    }
  }

  private paced(): string | undefined {
    const { coordinator, board, limitBytes } = this.setting
    const first = coordinator.securedSet + 1
    const slow = this.isSecondaryFull() ? 'the disk of the secondary has no room' : `set ${first} is not secured yet`
    switch (coordinator.relief.outcome) {
      case 'no spool':
        return `${slow}, and there is no spoolDirectory`
      case 'spool full':
        return `${slow}, and the spool has reached its limit of ${limitBytes} bytes`
      case 'bound':
        return `${slow}, and is to be secured together with later ones`
      case 'sending slowly':
      case 'sending':
        if (coordinator.relief.outcome === 'sending slowly' && board.loadNoSpace(board.spoolIndex) === 0)
          return `${slow}, and the spool does not take sets as fast as they come`
        return board.loadNoSpace(board.spoolIndex) === 1 ? `${slow}, and the disk of the spool has no room` : undefined
      default:
        return undefined
    }
  }

  private isSecondaryFull(): boolean {
    const { board } = this.setting
    for (let n = 0; n < board.layout.secondaries; n++) if (board.loadNoSpace(n) === 1) return true
    return false
  }
}

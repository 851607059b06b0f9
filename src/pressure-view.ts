import type { TidemarkErrorRecord } from './errors.ts'
import { type Board, STAT_HELD_BYTES } from './memory/board.ts'
import { PRESSURE_STEPS, type PressureRecord, type PressureStep } from './runtime/messages.ts'
import type { GroupStatus } from './types.ts'

/** What is done about memory pressure, as the host has heard it. */
export class PressureView {
  private readonly board: Board
  private readonly begun = new Map<PressureStep, string>()
  /** By who waits. */
  private readonly waiting = new Map<string, string>()

  constructor(board: Board) {
    this.board = board
  }

  hear({ step, state, reason }: PressureRecord): void {
    if (state === 'begin') this.begun.set(step, reason)
    else this.begun.delete(step)
  }

  hearNoSpace(place: string, error: TidemarkErrorRecord | undefined): void {
    if (error === undefined) this.waiting.delete(place)
    else this.waiting.set(place, String(error.details.path ?? place))
  }

  /** Nothing goes on any more. */
  suspend(reason: string): PressureRecord {
    const { heldBytes, spooledBytes } = this.read()
    const record: PressureRecord = { step: 'suspend', state: 'begin', reason, heldBytes, spooledBytes }
    this.hear(record)
    return record
  }

  read(): GroupStatus['pressure'] {
    const { board, begun } = this
    const step = [...PRESSURE_STEPS].reverse().find((one) => begun.has(one)) ?? null
    let heldBytes = 0
    for (const [slot, statistics] of board.statistics.entries()) {
      if (board.loadShown(slot) !== 'empty') heldBytes += statistics[STAT_HELD_BYTES] as number
    }
    return {
      step,
      reason: step === null ? null : (begun.get(step) ?? null),
      heldBytes,
      spooledBytes: board.loadSpooledBytes(),
      noSpace: [...new Set(this.waiting.values())].sort()
    }
  }
}

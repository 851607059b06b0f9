import { type Board, PHASE_REBUILD, PHASE_RESTORE, PHASE_RUN, PHASE_STOP } from '../memory/board.ts'
import type { CountedSource } from './conservation.ts'
import type { FinalPositions } from './rebuild.ts'

export interface ViewSetting {
  readonly board: Board
  readonly members: number
  readonly secondaries: number
  readonly sources: ReadonlySet<CountedSource>
  publishFinal(positions: FinalPositions): void
  /** Everything was restored; throws if something acknowledged is not there. */
  onRestored(): void
  onView(view: number): void
  wakeAll(): void
}

/**
 * Changes of view, as the control thread leads them: stop, rebuild, restore, run. A further death at any step begins a new
 * one, in which whoever had not been in a view that stood begins empty again.
 */
export class ViewChanges {
  private readonly setting: ViewSetting
  private view = 0
  private phase = PHASE_RUN
  /** Dead, and not replaced yet. */
  private readonly dead = new Set<number>()
  /** Replaced, but not yet in a view that stood. */
  private readonly fresh = new Set<number>()

  constructor(setting: ViewSetting) {
    this.setting = setting
  }

  get stands(): boolean {
    return this.phase === PHASE_RUN && this.dead.size === 0
  }

  failed(slot: number): void {
    this.dead.add(slot)
    this.fresh.add(slot)
    this.view++
    this.enter(PHASE_STOP)
  }

  replaced(slot: number): void {
    this.dead.delete(slot)
  }

  step(): void {
    while (this.phase !== PHASE_RUN && this.allDone()) this.next()
  }

  private next(): void {
    const { setting } = this
    switch (this.phase) {
      case PHASE_STOP: {
        const positions = new Map<number, number>()
        for (const { id, memory } of setting.sources) positions.set(id, memory.loadReleased())
        setting.publishFinal(positions)
        setting.board.storeFresh([...this.fresh])
        this.enter(PHASE_REBUILD)
        break
      }
      case PHASE_REBUILD:
        this.enter(PHASE_RESTORE)
        break
      default:
        setting.onRestored()
        this.fresh.clear()
        this.enter(PHASE_RUN)
        setting.onView(this.view)
    }
  }

  private enter(phase: number): void {
    this.phase = phase
    this.setting.board.storeView(this.view * 4 + phase)
    this.setting.wakeAll()
  }

  private allDone(): boolean {
    if (this.dead.size > 0) return false
    const { board, members, secondaries } = this.setting
    const word = this.view * 4 + this.phase
    for (let slot = 0; slot < members; slot++) if (board.loadViewDone(slot) !== word) return false
    // Secondary components have nothing to restore.
    if (this.phase === PHASE_RESTORE) return true
    for (let n = 0; n < secondaries; n++) if (board.loadSecondaryViewDone(n) !== word) return false
    return true
  }
}

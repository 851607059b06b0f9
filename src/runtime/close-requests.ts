import type { Coordinator } from '../protocol/coordinator.ts'
import type { ControlNotice } from './messages.ts'

export interface CloseRequest {
  readonly request: number
  readonly label: string | undefined
}

/** Sets that were asked to be closed: named ones end one after the other, each with its own name. */
export class CloseRequests {
  private readonly coordinator: Coordinator
  private readonly tell: (notice: ControlNotice) => void
  private readonly step: () => void
  private readonly waiting: CloseRequest[] = []
  private isQueued = false

  constructor(coordinator: Coordinator, tell: (notice: ControlNotice) => void, step: () => void) {
    this.coordinator = coordinator
    this.tell = tell
    this.step = step
  }

  add({ request, label }: CloseRequest): void {
    this.waiting.push({ request, label })
  }

  /** Asks for the next one, when none is asked for. */
  takeNext(): void {
    if (this.coordinator.hasCloseAsked) return
    const next = this.waiting.shift()
    if (next === undefined) return
    const set = this.coordinator.closeSet(next.label)
    this.tell({ type: 'closing-set', request: next.request, set })
    if (next.label !== undefined) return
    // Those without a name that came meanwhile end with it.
    while (this.waiting[0] !== undefined && this.waiting[0].label === undefined) {
      const other = this.waiting.shift() as CloseRequest
      this.tell({ type: 'closing-set', request: other.request, set })
    }
  }

  /** Sees to it that whoever still waits has its turn. */
  queueNext(): void {
    if (this.waiting.length === 0 || this.coordinator.hasCloseAsked || this.isQueued) return
    this.isQueued = true
    setImmediate(() => {
      this.isQueued = false
      this.step()
    })
  }
}

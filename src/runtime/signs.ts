import { TidemarkError } from '../errors.ts'
import { type Board, STAT_REJECTED } from '../memory/board.ts'
import type { Coordinator } from '../protocol/coordinator.ts'
import type { Membership } from '../protocol/membership.ts'
import type { ThreadedComponents } from './component-host.ts'
import type { MemberRequests } from './member-requests.ts'
import type { ControlNotice } from './messages.ts'
import { Pressure } from './pressure.ts'

export interface SignsSetting {
  readonly board: Board
  readonly membership: Membership
  readonly components: ThreadedComponents
  readonly requests: MemberRequests
  readonly coordinator: Coordinator
  /** Of the spool, if there is one. */
  readonly limitBytes: number | undefined
  tell(notice: ControlNotice): void
}

/** What the host is shown of the group as it goes: states of components, spares, pressure, rejected updates. */
export class Signs {
  private readonly setting: SignsSetting
  private readonly pressure: Pressure
  private rejected = 0
  private spares: readonly number[] = []

  constructor(setting: SignsSetting) {
    this.setting = setting
    this.pressure = new Pressure(setting)
  }

  /** Returns the milliseconds until there may be something to show by itself. */
  step(nowMs: number): number {
    const dueInMs = this.pressure.step(nowMs)
    this.tellRejected()
    this.show()
    return dueInMs
  }

  close(): void {
    this.pressure.close()
  }

  /** What the host's `status` reads. */
  show(): void {
    const { board, membership, components, requests, tell } = this.setting
    const joining = requests.joining
    for (let slot = 0; slot < board.layout.slots; slot++) {
      const state = membership.shownState(slot)
      board.storeShown(slot, state === 'active' && joining.includes(slot) ? 'joining' : state)
    }
    const spares = components.spareIds
    if (spares.join() === this.spares.join()) return
    this.spares = spares
    tell({ type: 'spares', ids: spares })
  }

  /** Block 334: an update came to a component that may not hold it. A bug of ours; its sender stops. */
  private tellRejected(): void {
    const { board, tell } = this.setting
    let rejected = 0
    for (const statistics of board.statistics) rejected += statistics[STAT_REJECTED] as number
    if (rejected === this.rejected) return
    const count = rejected - this.rejected
    this.rejected = rejected
    if (count < 0) return
    const error = new TidemarkError('TIDEMARK_FENCED', `${count} updates were rejected by a component`, { count })
    tell({ type: 'warning', error: error.toRecord() })
  }
}

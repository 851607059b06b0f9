import type { SetReport } from '../src/index.ts'
import { Violation } from './violation.ts'

const STATES = ['formed', 'secured', 'applied'] as const
type State = (typeof STATES)[number]

/** What a group tells of its sets: each is formed, secured and applied, in order; consistency time never decreases. */
export class SetOrder {
  /** Updates in all sets formed so far. */
  updates = 0
  applied = 0
  private readonly last: Record<State, number> = { formed: 0, secured: 0, applied: 0 }
  private readonly lastTime: Record<State, number> = { formed: 0, secured: 0, applied: 0 }
  private readonly formed = new Map<number, SetReport>()

  hear(report: SetReport): void {
    const { set, state, consistencyTime, updates, bytes } = report
    if (set <= this.last[state]) this.wrong(report, `comes after set ${this.last[state]}`)
    if (this.last[state] !== 0 && set !== this.last[state] + 1) this.wrong(report, `leaves out ${this.last[state] + 1}`)
    if (consistencyTime < this.lastTime[state]) this.wrong(report, `goes back from ${this.lastTime[state]}`)
    if (state !== 'formed') {
      const before = STATES[STATES.indexOf(state) - 1] as State
      if (set > this.last[before]) this.wrong(report, `was not ${before}`)
      const formed = this.formed.get(set)
      const isSame = formed !== undefined && formed.updates === updates && formed.bytes === bytes
      if (!isSame || formed.consistencyTime !== consistencyTime) this.wrong(report, `is not as when it was formed`)
    } else {
      this.updates += updates
      this.formed.set(set, report)
    }
    this.last[state] = set
    this.lastTime[state] = consistencyTime
    if (state !== 'applied') return
    this.applied++
    this.formed.delete(set)
  }

  private wrong(report: SetReport, what: string): never {
    throw new Violation(`the report of a set ${what}: ${JSON.stringify(report)}`)
  }
}

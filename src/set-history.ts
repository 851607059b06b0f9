import type { SetRecord } from './runtime/messages.ts'
import type { SetReport } from './types.ts'

/** Reports of sets that are kept for those who ask late. */
const KEPT = 4096

const STAGES = { formed: 1, secured: 2, applied: 3 }

interface Waiter {
  readonly set: number
  readonly stage: number
  resolve(report: SetReport): void
  reject(error: unknown): void
}

/** What became of recent sets, and who waits for what becomes of the next ones. */
export class SetHistory {
  private readonly records = new Map<number, SetRecord>()
  private readonly waiters = new Set<Waiter>()
  private last: SetRecord | undefined
  private closedWith: Error | undefined

  get lastApplied(): SetRecord | undefined {
    return this.last
  }

  /** A set has reached a stage. Returns its report. */
  add(record: SetRecord): SetReport {
    this.records.set(record.set, record)
    if (record.state === 'applied') {
      this.last = record
      this.records.delete(record.set - KEPT)
    }
    const report = this.report(record)
    for (const waiter of this.waiters) {
      if (waiter.set > record.set || waiter.stage > STAGES[record.state]) continue
      this.waiters.delete(waiter)
      waiter.resolve(this.past(waiter.set, record.state) ?? report)
    }
    return report
  }

  /** The report of a set that is known to have passed that stage; of the last one applied, if it was long ago. */
  past(set: number, state: SetRecord['state']): SetReport | undefined {
    const record = this.records.get(set) ?? this.last
    if (record === undefined) return undefined
    const report = this.report(record)
    return STAGES[record.state] >= STAGES[state] ? report : undefined
  }

  /** Resolves when the set has reached the stage. */
  when(set: number, state: SetRecord['state'], signal: AbortSignal | undefined): Promise<SetReport> {
    const known = this.records.get(set)
    if (known !== undefined && STAGES[known.state] >= STAGES[state]) return Promise.resolve(this.report(known))
    return new Promise((resolve, reject) => {
      if (this.closedWith !== undefined) return reject(this.closedWith)
      if (signal?.aborted === true) return reject(signal.reason)
      const waiter: Waiter = { set, stage: STAGES[state], resolve, reject }
      this.waiters.add(waiter)
      signal?.addEventListener(
        'abort',
        () => {
          this.waiters.delete(waiter)
          reject(signal.reason)
        },
        { once: true }
      )
    })
  }

  close(error: Error): void {
    this.closedWith = error
    for (const waiter of this.waiters) waiter.reject(error)
    this.waiters.clear()
  }

  report(record: SetRecord): SetReport {
    const { set, label, state, consistencyTime, updates, bytes, writtenBytes } = record
    return {
      set,
      ...(label === undefined ? {} : { label }),
      state,
      consistencyTime,
      updates,
      bytes,
      ...(writtenBytes === undefined ? {} : { writtenBytes })
    }
  }
}

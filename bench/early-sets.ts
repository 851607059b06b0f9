import type { BackupGroup } from '../src/index.ts'

/** Consistency times are whole milliseconds, by another clock than periods. */
const CLOCK_MS = 2

/** Counts the sets of a group that ended before their period was over, while memory was short. */
export class EarlySets {
  count = 0
  private isShort = false
  private endedAt = Date.now()

  constructor(group: BackupGroup, periodMs: number) {
    // Told before the set is formed that is closed for it.
    group.on('pressure', ({ step, state }) => {
      if (step === 'close-early') this.isShort = state === 'begin'
    })
    group.on('set', ({ state, consistencyTime }) => {
      if (state !== 'formed') return
      if (this.isShort && consistencyTime - this.endedAt < periodMs - CLOCK_MS) this.count++
      this.endedAt = consistencyTime
    })
  }
}

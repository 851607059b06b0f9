import type { BackupGroup } from '../src/index.ts'

/** Consistency times are whole milliseconds, by another clock than periods. */
const CLOCK_MS = 2

/**
 * Counts the sets of a group that ended before their period was over, while memory was short. Not less than the times at which
 * memory ran short: each closes a set.
 */
export class EarlySets {
  private early = 0
  private shortages = 0
  private isShort = false
  private endedAt = Date.now()

  constructor(group: BackupGroup, periodMs: number) {
    // Told before the set is formed that is closed for it.
    group.on('pressure', ({ step, state }) => {
      if (state === 'begin') this.shortages++
      if (step === 'close-early') this.isShort = state === 'begin'
    })
    group.on('set', ({ state, consistencyTime }) => {
      if (state !== 'formed') return
      if (this.isShort && consistencyTime - this.endedAt < periodMs - CLOCK_MS) this.early++
      this.endedAt = consistencyTime
    })
  }

  get count(): number {
    return Math.max(this.early, this.shortages)
  }
}

import { Violation } from './violation.ts'

export const LONGEST_STANDSTILL_MS = 20_000
const LOOK_EVERY_MS = 250

export interface Watched {
  /** Grows with progress. */
  progress(): number
  /** What is waited for, for the message. */
  describe(): string
}

/** Rejects when nothing has moved for 20 s. */
export class Watchdog {
  readonly barks: Promise<never>
  private readonly timer: NodeJS.Timeout
  private last = -1
  private movedAt = performance.now()

  constructor(watched: Watched, longestMs = LONGEST_STANDSTILL_MS, lookEveryMs = LOOK_EVERY_MS) {
    let bark: (reason: Violation) => void = () => {}
    this.barks = new Promise((_, reject) => {
      bark = reject
    })
    this.barks.catch(() => {})
    this.timer = setInterval(() => {
      const now = performance.now()
      const progress = watched.progress()
      if (progress !== this.last) this.movedAt = now
      this.last = progress
      if (now - this.movedAt < longestMs) return
      bark(new Violation(`no progress for ${(longestMs / 1000).toFixed(0)} s: ${watched.describe()}`))
    }, lookEveryMs)
  }

  stop(): void {
    clearInterval(this.timer)
  }
}

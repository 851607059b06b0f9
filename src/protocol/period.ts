export interface PeriodSetting {
  /** The period that was asked for; with a target the longest one. Milliseconds. */
  readonly periodMs: number
  /** How old the applied copy may get; undefined: no target. Milliseconds. */
  readonly lagTargetMs?: number | undefined
}

/** Of the target: what is left over for what nobody can foresee. */
const SHARE = 0.9
/** Of the target: shorter periods cost more syncs than they gain. */
const SHORTEST_SHARE = 0.1
const SHORTEST_MS = 5

/**
 * How long formation periods are (R9): as asked, or, with a target for the lag (R19), the longest that holds it.
 *
 *      end of set c-1         end of set c              c is applied
 *           |------ period ------|-------- drain ----------|
 *           |------------- age of the applied copy --------|   at most: the copy shows the end of c-1 until then
 *
 * Drain grows with the period, since a longer one collects more. So half of the error is corrected at each set: that settles
 * as long as draining is less than three times as slow as writing; when it is slower than writing no period holds any target.
 */
export class Period {
  lengthMs: number
  private readonly longest: number
  private readonly target: number | undefined
  private lastEndedAtMs: number
  private overSinceMs: number | undefined
  private told = false

  constructor({ periodMs, lagTargetMs }: PeriodSetting, nowMs: number) {
    this.longest = periodMs
    this.target = lagTargetMs
    this.lengthMs = lagTargetMs === undefined ? periodMs : Math.min(periodMs, lagTargetMs / 2)
    this.lastEndedAtMs = nowMs
  }

  /** A set whose period ended then has been applied. */
  applied(endedAtMs: number, nowMs: number, updates: number): void {
    const oldestMs = nowMs - this.lastEndedAtMs
    this.lastEndedAtMs = Math.max(this.lastEndedAtMs, endedAtMs)
    if (this.target === undefined) return
    if (oldestMs <= this.target) {
      this.overSinceMs = undefined
      this.told = false
    }
    // What holds nothing says nothing of how long draining takes.
    if (updates > 0) this.adapt(this.target, nowMs - endedAtMs)
  }

  /** The age of the applied copy, once, when it has been over the target for as long as the target is. */
  lagToWarnOf(nowMs: number): number | undefined {
    if (this.target === undefined || this.told) return undefined
    const ageMs = nowMs - this.lastEndedAtMs
    if (this.overSinceMs === undefined) {
      if (ageMs <= this.target) return undefined
      this.overSinceMs = nowMs
    }
    if (nowMs - this.overSinceMs < this.target) return undefined
    this.told = true
    return ageMs
  }

  private adapt(target: number, drainMs: number): void {
    const wanted = (this.lengthMs + target * SHARE - drainMs) / 2
    const shortest = Math.max(SHORTEST_MS, target * SHORTEST_SHARE)
    this.lengthMs = Math.min(this.longest, Math.max(Math.min(shortest, this.longest), wanted))
  }
}

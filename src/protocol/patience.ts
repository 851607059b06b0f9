import { TidemarkError } from '../errors.ts'

const FIRST_PAUSE_US = 10_000
const LONGEST_PAUSE_US = 1_000_000

/**
 * What has no room on its disk is tried again, after growing pauses, until there is room. Anything else that goes wrong is
 * not: after a failed sync the system may have dropped what it still shows, and only opening the files again finds out.
 */
export class Patience {
  /** What it waits for; undefined when it does not. */
  cause: TidemarkError | undefined
  private pauseUs = 0
  private failedAt = 0

  static allows(error: unknown): error is TidemarkError {
    return error instanceof TidemarkError && error.code === 'TIDEMARK_NO_SPACE' && error.details.action !== 'sync'
  }

  /**
   * Does it, unless it is to rest. Returns what that returns; 0 where it was not done, or not to its end.
   * @throws what is none that passes
   */
  attempt(clock: () => number, act: () => number): number {
    if (this.restUs(clock()) > 0) return 0
    try {
      const done = act()
      this.succeeded()
      return done
    } catch (error) {
      this.failed(error, clock())
      return 0
    }
  }

  /** Milliseconds until it is to be tried again; Infinity when it does not wait. */
  dueInMs(nowUs: number): number {
    return this.cause === undefined ? Number.POSITIVE_INFINITY : Math.ceil(this.restUs(nowUs) / 1000)
  }

  /** @throws the error, if it is none that passes */
  failed(error: unknown, nowUs: number): void {
    if (!Patience.allows(error)) throw error
    this.cause = error
    this.failedAt = nowUs
    this.pauseUs = Math.min(Math.max(this.pauseUs * 2, FIRST_PAUSE_US), LONGEST_PAUSE_US)
  }

  succeeded(): void {
    this.cause = undefined
    this.pauseUs = 0
  }

  /** Microseconds until it is to be tried again; 0 when it may be now. */
  restUs(nowUs: number): number {
    if (this.cause === undefined) return 0
    const rest = this.failedAt + this.pauseUs - nowUs
    // A clock may be set back.
    return rest > 0 && rest <= this.pauseUs ? rest : 0
  }
}

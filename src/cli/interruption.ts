/** The first INT or TERM drains and ends with 0, the second ends at once. */
export class Interruption {
  asked = false
  /** Resolves at the first signal. */
  readonly happened: Promise<void>
  private readonly drainTimeoutMs: number | undefined
  private readonly expiry = new AbortController()
  private timer: NodeJS.Timeout | undefined
  private tell: () => void = () => {}
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    if (this.asked) process.exit(signal === 'SIGINT' ? 130 : 143)
    this.asked = true
    process.stderr.write('draining; once more ends at once\n')
    this.tell()
    if (this.drainTimeoutMs !== undefined) this.timer = setTimeout(() => this.expiry.abort(), this.drainTimeoutMs)
  }

  /** @param drainTimeoutMs  from the first signal to `expired`; undefined: never */
  constructor(drainTimeoutMs: number | undefined) {
    this.drainTimeoutMs = drainTimeoutMs
    this.happened = new Promise((resolve) => {
      this.tell = resolve
    })
    process.on('SIGINT', this.onSignal)
    process.on('SIGTERM', this.onSignal)
  }

  /** Aborts when the drain has had its time. */
  get expired(): AbortSignal {
    return this.expiry.signal
  }

  end(): void {
    clearTimeout(this.timer)
    process.off('SIGINT', this.onSignal)
    process.off('SIGTERM', this.onSignal)
  }
}

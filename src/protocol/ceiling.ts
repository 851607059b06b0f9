import { Patience } from './patience.ts'

export interface CeilingSetting {
  /** Durable when it returns. */
  raise(upTo: number): void
  /** There is no room for it, so that no set can be closed; undefined: there is again. */
  onNoSpace?(error: Error | undefined): void
}

/** Sets whose identifiers are made durable at once, so that this is done rarely. */
const STEP = 1024

/** No set identifier above it is ever handed out: identifiers are never used again, whatever ends. */
export class Ceiling {
  private readonly setting: CeilingSetting
  private readonly patience = new Patience()
  private ceiling: number

  constructor(setting: CeilingSetting, below: number) {
    this.setting = setting
    this.ceiling = below
  }

  /** @throws where it cannot be raised */
  raiseFor(set: number): void {
    if (set <= this.ceiling) return
    this.setting.raise(set + STEP)
    this.ceiling = set + STEP
  }

  /** Whether this set may be handed out. Not when there is no room to raise the ceiling: asked again, it tries again. */
  allows(set: number, nowMs: number): boolean {
    const { patience, setting } = this
    const wasWaiting = patience.cause !== undefined
    patience.attempt(
      () => nowMs * 1000,
      () => {
        this.raiseFor(set)
        return 1
      }
    )
    if (wasWaiting !== (patience.cause !== undefined)) setting.onNoSpace?.(patience.cause)
    return patience.cause === undefined
  }

  /** Milliseconds until it is to be asked again; Infinity when it does not wait. */
  triesInMs(nowMs: number): number {
    return this.patience.dueInMs(nowMs * 1000)
  }
}

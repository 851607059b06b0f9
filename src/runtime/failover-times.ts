import type { ViewRecord } from './messages.ts'

/** A component that comes or goes, until everything is redundant again. */
interface Change {
  readonly reason: ViewRecord['reason']
  readonly component: number
  /** Milliseconds by the clock of `performance.now`. */
  readonly beganAt: number
  readonly detectedAt: number
  reassignedAt: number
}

/** How long each step of a change of view took, for every component that came or went in it. */
export class FailoverTimes {
  private readonly changes: Change[] = []

  /** @param beganAt  when it died, or was asked for; not later than now */
  began(reason: ViewRecord['reason'], component: number, beganAt: number): void {
    const detectedAt = performance.now()
    this.changes.push({
      reason,
      component,
      beganAt: Math.min(beganAt, detectedAt),
      detectedAt,
      reassignedAt: detectedAt
    })
  }

  get isPending(): boolean {
    return this.changes.length > 0
  }

  /** Roles are given anew; again when another death began it all again. */
  reassigned(): void {
    const now = performance.now()
    for (const change of this.changes) change.reassignedAt = now
  }

  /** Everything is redundant: the records of all that was under way. */
  redundant(view: number, movedUpdates: number, movedBytes: number): ViewRecord[] {
    const now = performance.now()
    return this.changes.splice(0).map(({ reason, component, beganAt, detectedAt, reassignedAt }) => ({
      view,
      reason,
      component,
      detectedMs: detectedAt - beganAt,
      reassignedMs: reassignedAt - beganAt,
      redundantMs: now - beganAt,
      movedUpdates,
      movedBytes
    }))
  }
}

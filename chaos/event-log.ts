const MOST_EVENTS = 2000

/** What happened in a round, with milliseconds since its beginning. */
export class EventLog {
  private readonly events: { readonly atMs: number; readonly text: string }[] = []
  private readonly began = performance.now()

  note(text: string): void {
    this.events.push({ atMs: performance.now() - this.began, text })
    if (this.events.length > MOST_EVENTS) this.events.splice(0, MOST_EVENTS / 2)
  }

  /** What happened in the last so many milliseconds, one line each. */
  recent(lastMs: number): string[] {
    const from = performance.now() - this.began - lastMs
    return this.events
      .filter(({ atMs }) => atMs >= from)
      .map(({ atMs, text }) => `${atMs.toFixed(1).padStart(9)} ms  ${text}`)
  }
}

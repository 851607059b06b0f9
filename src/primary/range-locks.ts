/**
 * Overlapping calls take effect in the order in which they were made (P4): each has its place from the start, and goes on
 * when those before it that overlap are done. Calls that only look do not wait for each other.
 */
export interface Place {
  /** Undefined when nothing is in the way. */
  readonly granted: Promise<void> | undefined
  /** It is done: whoever waits for it may go on. */
  release(): void
}

class Ticket implements Place {
  readonly from: number
  readonly to: number
  readonly looksOnly: boolean
  granted: Promise<void> | undefined
  private waitsFor = 0
  private readonly waiters: Ticket[] = []
  private go: () => void = () => {}
  private readonly remove: (ticket: Ticket) => void

  constructor(from: number, to: number, looksOnly: boolean, remove: (ticket: Ticket) => void) {
    this.from = from
    this.to = to
    this.looksOnly = looksOnly
    this.remove = remove
  }

  waitFor(earlier: Ticket): void {
    if (earlier.to <= this.from || this.to <= earlier.from || (earlier.looksOnly && this.looksOnly)) return
    earlier.waiters.push(this)
    this.waitsFor++
    this.granted ??= new Promise((resolve) => {
      this.go = resolve
    })
  }

  release(): void {
    this.remove(this)
    for (const waiter of this.waiters.splice(0)) if (--waiter.waitsFor === 0) waiter.go()
  }
}

export class RangeLocks {
  private readonly bucketBytes: number
  /** Calls under way, by the stretches of the volume that they touch: a look at all of them would cost too much. */
  private readonly buckets = new Map<number, Set<Ticket>>()

  constructor(bucketBytes: number) {
    this.bucketBytes = bucketBytes
  }

  take(from: number, length: number, kind: 'look' | 'change'): Place {
    const ticket = new Ticket(from, from + length, kind === 'look', (done) => this.remove(done))
    for (const bucket of this.bucketsOf(ticket)) {
      const others = this.buckets.get(bucket)
      if (others === undefined) {
        this.buckets.set(bucket, new Set([ticket]))
        continue
      }
      // One that is met in several buckets is counted as often, and counted down as often.
      for (const other of others) ticket.waitFor(other)
      others.add(ticket)
    }
    return ticket
  }

  private remove(ticket: Ticket): void {
    for (const bucket of this.bucketsOf(ticket)) {
      const others = this.buckets.get(bucket)
      others?.delete(ticket)
      if (others?.size === 0) this.buckets.delete(bucket)
    }
  }

  private *bucketsOf({ from, to }: Ticket): Iterable<number> {
    const last = Math.floor(Math.max(from, to - 1) / this.bucketBytes)
    for (let bucket = Math.floor(from / this.bucketBytes); bucket <= last; bucket++) yield bucket
  }
}

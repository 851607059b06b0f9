/** What all threads of a round see at once: shared words. */
const STOP = 0
const HIGHEST_SET = 1
const GONE_TICK = 2
const GONE = 3
/** So many component ids are watched. */
const MOST_IDS = 1024
const ACKNOWLEDGED = GONE + MOST_IDS

export class Gauges {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer)
  }

  static allocate(writers: number): Gauges {
    return new Gauges(new SharedArrayBuffer((ACKNOWLEDGED + writers) * 4))
  }

  get isStopping(): boolean {
    return Atomics.load(this.words, STOP) !== 0
  }

  stop(): void {
    Atomics.store(this.words, STOP, 1)
  }

  /** The highest set of any update whose acknowledgement has been seen, by any thread. */
  get highestSet(): number {
    return Atomics.load(this.words, HIGHEST_SET)
  }

  raiseHighestSet(set: number): void {
    for (let seen = this.highestSet; seen < set; ) {
      const before = Atomics.compareExchange(this.words, HIGHEST_SET, seen, set)
      if (before === seen) return
      seen = before
    }
  }

  /** Counts components that went. */
  get goneTick(): number {
    return Atomics.load(this.words, GONE_TICK)
  }

  /** From now on nothing may be held by it. */
  markGone(id: number): void {
    if (id >= MOST_IDS) return
    const tick = Atomics.add(this.words, GONE_TICK, 1) + 1
    Atomics.store(this.words, GONE + id, tick)
  }

  /** Whether it was gone at that tick. */
  wasGone(id: number, tick: number): boolean {
    if (id >= MOST_IDS) return false
    const goneAt = Atomics.load(this.words, GONE + id)
    return goneAt !== 0 && goneAt <= tick
  }

  addAcknowledged(writer: number, count: number): void {
    Atomics.add(this.words, ACKNOWLEDGED + writer, count)
  }

  get acknowledged(): number {
    return this.words.subarray(ACKNOWLEDGED).reduce((sum, count) => sum + count, 0)
  }
}

import { setTimeout as pause } from 'node:timers/promises'

const STOP = 0
const POSTED = 1
const LOOK_EVERY_MS = 1

/** Shared words of sources that block their threads: how far they are, and whether they shall stop. */
export class SourceGauges {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer)
  }

  static allocate(sources: number): SourceGauges {
    return new SourceGauges(new SharedArrayBuffer((POSTED + sources) * 4))
  }

  get isStopping(): boolean {
    return Atomics.load(this.words, STOP) !== 0
  }

  stop(): void {
    Atomics.store(this.words, STOP, 1)
  }

  storePosted(source: number, count: number): void {
    Atomics.store(this.words, POSTED + source, count)
  }

  /** By all sources. */
  posted(): number {
    return this.words.subarray(POSTED).reduce((sum, count) => sum + count, 0)
  }

  /** Resolves when every source has posted more than now. */
  async allMoved(): Promise<void> {
    const before = this.words.slice(POSTED)
    while (before.some((count, source) => Atomics.load(this.words, POSTED + source) === count)) {
      await pause(LOOK_EVERY_MS)
    }
  }
}

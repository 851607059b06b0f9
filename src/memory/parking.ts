import { LINE_INTS } from './lines.ts'

/**
 * One thread's place to sleep: a word on a line of its own, 1 while it is parked (or about to be).
 *
 *      sleeper                          waker
 *      prepare(): word = 1              publish something
 *      look at every input once more    wake(): if word is 1: word = 0, notify
 *      sleep(): wait while word is 1
 *
 * Every access is sequentially consistent, so either the sleeper's last look finds what was published, or the waker finds
 * the word at 1. Notify takes a process-wide lock even when nobody waits: only who says that it is parked is notified.
 */
export const PARKING_INTS = LINE_INTS

/** For tests of hangs: this thread makes no progress any more, and burns no core. */
export function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

export class Parking {
  private readonly words: Int32Array<SharedArrayBuffer>
  private readonly at: number

  constructor(words: Int32Array<SharedArrayBuffer>, at: number) {
    this.words = words
    this.at = at
  }

  prepare(): void {
    Atomics.store(this.words, this.at, 1)
  }

  /** The last look found something: the thread goes on. */
  cancel(): void {
    Atomics.store(this.words, this.at, 0)
  }

  isParked(): boolean {
    return Atomics.load(this.words, this.at) === 1
  }

  /** Blocks until woken. @param timeoutMs  Infinity by default */
  sleep(timeoutMs?: number): void {
    Atomics.wait(this.words, this.at, 1, timeoutMs)
  }

  /** Without blocking: a promise, or null when it has been woken already. */
  sleepAsync(): Promise<unknown> | null {
    const outcome = Atomics.waitAsync(this.words, this.at, 1)
    return outcome.async ? outcome.value : null
  }

  /** Wakes whoever sleeps, whatever the word says: a thread that died while it woke another may have left it undone. */
  rouse(): void {
    Atomics.store(this.words, this.at, 0)
    Atomics.notify(this.words, this.at)
  }

  wake(): void {
    if (Atomics.load(this.words, this.at) === 0) return
    Atomics.store(this.words, this.at, 0)
    Atomics.notify(this.words, this.at)
  }
}

/** A place of its own for a thread that is not on the board. */
export function allocateParking(): SharedArrayBuffer {
  return new SharedArrayBuffer(PARKING_INTS * 4)
}
export function parkingIn(memory: SharedArrayBuffer): Parking {
  return new Parking(new Int32Array(memory), 0)
}

import { TidemarkError } from '../errors.ts'
import type { HostedThread } from './thread-pool.ts'

/** So many deaths without any progress in between, and another thread does not mend it. */
const MOST_DEATHS = 5

/** What follows from the end of a thread. */
export interface Heir {
  /** It has died; whatever it was about to say was not said. */
  onDied?(): void
  /** Starts another one, which goes on with its files. */
  begin(): HostedThread
  /** That one runs: what was not finished has to be sent again. */
  onReplaced(): void
  /** No thread can go on. */
  onHopeless(cause: unknown): void
}

/**
 * Threads whose work lives on in files: when one has died, another one goes on, as soon as its exit has been awaited. What is
 * wrong with the files no thread mends.
 */
export class Succession {
  private deaths = 0
  private isOver = false

  /** They do work; or one is about to be ended from outside, which says nothing of them. */
  works(): void {
    this.deaths = 0
  }

  /** From now on threads end in order. */
  close(): void {
    this.isOver = true
  }

  watch(thread: HostedThread, heir: Heir): void {
    thread.ended.then((cause) => this.replace(thread, heir, cause))
  }

  private async replace(thread: HostedThread, heir: Heir, cause: unknown): Promise<void> {
    if (this.isOver) return
    const isOfFiles = cause instanceof TidemarkError && cause.code !== 'TIDEMARK_SUSPENDED'
    if (isOfFiles || ++this.deaths > MOST_DEATHS || !thread.hasRun()) {
      heir.onHopeless(cause)
      return
    }
    thread.terminate()
    await thread.exited
    if (this.isOver) return
    heir.onDied?.()
    await heir.begin().running.then(
      () => heir.onReplaced(),
      // Whoever watches its end says so.
      () => {}
    )
  }
}

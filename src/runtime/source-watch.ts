import { postMessageToThread } from 'node:worker_threads'
import type { ControlSources } from './control-sources.ts'

const EVERY_MS = 500
const ANSWER_WITHIN_MS = 2000
/** A thread's number is not used again; still, one refusal alone may come of a thread that is just beginning. */
const REFUSALS = 2

/**
 * Finds threads of the host that have died with a source attached: shared memory does not tell. A message to a thread that
 * has ended is refused at once; one that is busy only does not answer in time. (source.ts sees to it that there is a
 * listener.) What such a source had posted whole is taken, then it is closed.
 */
export class SourceWatch {
  private readonly sources: ControlSources
  private readonly onDead: (id: number) => void
  private readonly refusals = new Map<number, number>()
  private readonly asked = new Set<number>()
  private readonly timer: NodeJS.Timeout

  constructor(sources: ControlSources, onDead: (id: number) => void) {
    this.sources = sources
    this.onDead = onDead
    this.timer = setInterval(() => this.look(), EVERY_MS)
    this.timer.unref()
  }

  close(): void {
    clearInterval(this.timer)
  }

  private look(): void {
    for (const { id, threadId } of this.sources.inThreads()) {
      if (this.asked.has(id)) continue
      this.asked.add(id)
      this.ask(id, threadId).finally(() => this.asked.delete(id))
    }
  }

  private async ask(id: number, threadId: number): Promise<void> {
    try {
      await postMessageToThread(threadId, { tidemark: 'are you there' }, ANSWER_WITHIN_MS)
      this.refusals.delete(id)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_MESSAGING_FAILED') return
      const refusals = (this.refusals.get(id) ?? 0) + 1
      this.refusals.set(id, refusals)
      if (refusals < REFUSALS) return
      this.refusals.delete(id)
      this.onDead(id)
    }
  }
}

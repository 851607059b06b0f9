import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { ThreadNotice, ThreadOutcome } from './messages.ts'
import { threadFile } from './thread-file.ts'

export interface HostedThread {
  /** The control thread's end of the thread's port. */
  readonly port: MessagePort
  /** Resolves when the thread runs its task; rejects when it ends before. */
  readonly running: Promise<void>
  /**
   * The fence: resolves when the thread itself has exited, after which nothing it does can come any more. A task that is
   * rejected or has returned says nothing of the kind.
   */
  readonly exited: Promise<void>
  /** Whether the task has begun to run. */
  hasRun(): boolean
  /** Ends the thread. */
  terminate(): void
  /** Settles when the task has ended, with what ended it; rejects when its thread ended. */
  readonly ended: Promise<ThreadOutcome>
}

/**
 * Component threads: each a task that a pool's thread runs for as long as the component lives. One task a thread, spare
 * threads kept warm, and no waiting on atomics for the next task, since a running one never returns to the pool.
 */
export class ThreadPool {
  private readonly pool: Piscina
  private readonly ports: MessagePort[] = []

  /** @param spares  warm threads beyond those that run tasks */
  constructor(file: string, threads: number, spares: number) {
    this.pool = new Piscina({
      filename: threadFile(file),
      minThreads: threads + spares,
      maxThreads: threads + spares,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
      workerHistogram: false,
      env: process.env
    })
    // An error of a thread that has no task: its replacement is under way.
    this.pool.on('error', () => {})
  }

  start<Task extends { readonly port: MessagePort }>(
    task: Omit<Task, 'port'>,
    onNotice: (notice: ThreadNotice) => void
  ): HostedThread {
    const { port1, port2 } = new MessageChannel()
    this.ports.push(port1)
    const ended = this.pool.run({ ...task, port: port2 }, { transferList: [port2] }) as Promise<ThreadOutcome>
    let worker: Worker | undefined
    let fence = (): void => {}
    const exited = new Promise<void>((resolve) => {
      fence = resolve
    })
    const running = new Promise<void>((resolve, reject) => {
      port1.on('message', (notice: ThreadNotice) => {
        if (notice.type !== 'running') {
          onNotice(notice)
          return
        }
        worker = this.pool.threads.find((thread) => thread.threadId === notice.threadId)
        if (worker === undefined) fence()
        else worker.once('exit', fence)
        resolve()
      })
      ended.then(() => reject(new Error('the thread has ended')), reject)
    })
    // A task that ended before it ran has no thread to wait for.
    const settled = (): void => {
      if (worker === undefined) fence()
    }
    ended.then(settled, settled)
    // Whoever opens the group looks at it; afterwards `ended` is watched.
    running.catch(() => {})
    return {
      port: port1,
      running,
      ended,
      exited,
      hasRun: () => worker !== undefined,
      terminate: () => void worker?.terminate()
    }
  }

  /** Ends all threads; those whose task has ended before end in an orderly way. */
  async destroy(): Promise<void> {
    for (const port of this.ports) port.close()
    await this.pool.destroy()
  }
}

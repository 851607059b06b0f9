import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { TidemarkError } from '../errors.ts'
import type { ThreadNotice, ThreadOutcome } from './messages.ts'
import { threadFile } from './thread-file.ts'

export interface HostedThread {
  /** The control thread's end of the thread's port. */
  readonly port: MessagePort
  /** Resolves when the thread runs its task; rejects when it ends before. */
  readonly running: Promise<void>
  /**
   * The fence: resolves when the thread's JavaScript is over for good, after which nothing it does can come any more. A task
   * that is rejected or has returned says nothing of the kind. Nobody closes the thread's end of the port: the runtime does,
   * when the thread may run no JavaScript any more, and before it frees what the engine had, which takes longer than all
   * else (docs/decisions/0015-the-fence.md).
   */
  readonly fenced: Promise<void>
  /** Resolves when the thread itself has exited. */
  readonly exited: Promise<void>
  /** Resolves when the task has ended, or its thread has, with what ended it; undefined when it was over. */
  readonly ended: Promise<unknown>
  /** Whether the task has begun to run. */
  hasRun(): boolean
  /** Ends the thread. */
  terminate(): void
}

/**
 * One thread, in a piscina pool of its own. A common pool would start a replacement as soon as one dies, and so take a core
 * from those who are mending what was lost; this one has no minimum to go back to: its first task starts its only thread.
 */
class PooledThread {
  readonly exited: Promise<void>
  private readonly pool: Piscina
  private worker: Worker | undefined
  private fence: () => void = () => {}

  constructor(file: string) {
    this.pool = new Piscina({
      filename: file,
      minThreads: 0,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
      workerHistogram: false,
      env: process.env
    })
    // An error while it has no task: it exits then, and that is what counts.
    this.pool.on('error', () => {})
    this.exited = new Promise((resolve) => {
      this.fence = resolve
    })
  }

  run(task: unknown, port: MessagePort): Promise<ThreadOutcome> {
    const ended = this.pool.run(task, { transferList: [port] }) as Promise<ThreadOutcome>
    this.watch(ended)
    return ended
  }

  terminate(): void {
    void this.worker?.terminate()
  }

  destroy(): Promise<void> {
    return this.pool.destroy()
  }

  private watch(started: Promise<unknown>): void {
    this.worker = this.pool.threads[0]
    if (this.worker !== undefined) this.worker.once('exit', this.fence)
    else started.then(this.fence, this.fence)
  }
}

/** Threads that each run one task for as long as a component lives. */
export class ThreadPool {
  private readonly file: string
  private readonly all = new Set<PooledThread>()

  constructor(file: string) {
    this.file = threadFile(file)
  }

  start<Task extends { readonly port: MessagePort }>(
    task: Omit<Task, 'port'>,
    onNotice: (notice: ThreadNotice) => void
  ): HostedThread {
    const thread = this.host()
    const { port1, port2 } = new MessageChannel()
    const outcome = thread.run({ ...task, port: port2 }, port2)
    let hasRun = false
    const running = new Promise<void>((resolve, reject) => {
      port1.on('message', (notice: ThreadNotice) => {
        if (notice.type !== 'running') {
          onNotice(notice)
          return
        }
        hasRun = true
        resolve()
      })
      outcome.then(() => reject(new Error('the thread has ended')), reject)
    })
    // Whoever opens the group looks at it; afterwards `ended` is watched.
    running.catch(() => {})
    const fenced = new Promise<void>((resolve) => {
      port1.once('close', resolve)
      thread.exited.then(resolve)
    })
    thread.exited.then(() => port1.close())
    return {
      fenced,
      port: port1,
      running,
      ended: outcome.then(
        (record) => record && TidemarkError.fromRecord(record),
        (error: unknown) => error
      ),
      exited: thread.exited,
      hasRun: () => hasRun,
      terminate: () => thread.terminate()
    }
  }

  /** Ends all threads; those whose task has ended before end in an orderly way. */
  async destroy(): Promise<void> {
    await Promise.all([...this.all].map((thread) => thread.destroy()))
  }

  private host(): PooledThread {
    const thread = new PooledThread(this.file)
    this.all.add(thread)
    thread.exited.then(() => {
      this.all.delete(thread)
      return thread.destroy()
    })
    return thread
  }
}

import os from 'node:os'
import { Piscina } from 'piscina'
import { TidemarkError } from '../errors.ts'
import { threadArguments, threadFile } from './thread-file.ts'
import type { VerifyOutcome, VerifyTask } from './verify-thread.ts'

const MOST_THREADS = 4

/** Threads that read and sum what is verified. */
export class VerifyPool {
  private readonly pool: Piscina
  private readonly threads = Math.min(MOST_THREADS, os.availableParallelism())
  private readonly signal: AbortSignal | undefined
  private isOver = false

  constructor(signal: AbortSignal | undefined) {
    const execArgv = threadArguments()
    this.signal = signal
    this.pool = new Piscina({
      filename: threadFile('verify-thread'),
      minThreads: 0,
      maxThreads: this.threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      ...(execArgv && { execArgv })
    })
  }

  /** A thread whose task is aborted is ended at once. */
  async run(task: VerifyTask): Promise<Exclude<VerifyOutcome, { error: unknown }>> {
    this.signal?.throwIfAborted()
    let outcome: VerifyOutcome
    try {
      outcome = (await this.pool.run(task, { signal: this.signal ?? null })) as VerifyOutcome
    } catch (cause) {
      this.signal?.throwIfAborted()
      throw cause
    }
    if ('error' in outcome) throw TidemarkError.fromRecord(outcome.error)
    return outcome
  }

  /** Does all of it, as many at a time as there are threads; none is begun, or made, before it is its turn. */
  async each<Job>(jobs: Iterable<Job>, work: (job: Job) => Promise<void>): Promise<void> {
    const left = jobs[Symbol.iterator]()
    const takeTurns = async (): Promise<void> => {
      for (let next = left.next(); next.done !== true && !this.isOver; next = left.next()) await work(next.value)
    }
    try {
      await Promise.all(Array.from({ length: this.threads }, takeTurns))
    } catch (cause) {
      this.isOver = true
      throw cause
    }
  }

  async close(): Promise<void> {
    this.isOver = true
    await this.pool.destroy()
  }
}

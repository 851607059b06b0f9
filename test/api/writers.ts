import { Worker } from 'node:worker_threads'
import type { BackupGroup, SetReport, SourcePort, ViewReport } from '../../src/index.ts'
import { imageOf } from './image.ts'
import type { WriterTask } from './writer-thread.ts'

export interface WriterThread {
  readonly answer: Promise<unknown>
  readonly exited: Promise<number>
  readonly worker: Worker
}

/** A thread of the host that has the source of this port. */
export function startWriter(
  port: SourcePort,
  volume: string,
  task: WriterTask,
  stop = new SharedArrayBuffer(4)
): WriterThread {
  const worker = new Worker(new URL('./writer-thread.ts', import.meta.url), {
    workerData: { port, volume, task, stop },
    execArgv: []
  })
  const answer = new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const exited = new Promise<number>((resolve) => worker.once('exit', resolve))
  return { answer, exited, worker }
}

/** Volumes of the counter writers, in the order in which each number is written. */
export const COUNTED = ['a', 'b', 'c'] as const
const COUNTER_BYTES = 8

export const COUNTED_VOLUMES = COUNTED.map((name) => ({ name, size: 64 * COUNTER_BYTES }))

/**
 * Writers that never pause, in this thread and in others: each writes 1, 2, 3 ... to its place in A, awaits it, to B, awaits it,
 * to C. In every applied set A >= B >= C >= A-1, and at the end each of them is the last number.
 */
export class Counters {
  private readonly group: BackupGroup
  private readonly directory: string
  private readonly stop = new SharedArrayBuffer(4)
  private readonly writers: Promise<bigint>[]

  constructor(group: BackupGroup, directory: string, inThisThread: number, inThreads: number) {
    this.group = group
    this.directory = directory
    this.writers = Array.from({ length: inThisThread }, (_, n) => this.write(n))
    for (let n = inThisThread; n < inThisThread + inThreads; n++) {
      const port = group.exportSource(`counter-${n}`)
      const task: WriterTask = { kind: 'count', volumes: COUNTED, offset: n * COUNTER_BYTES }
      const thread = startWriter(port, COUNTED[0], task, this.stop)
      this.writers.push(thread.answer.then((last) => last as bigint))
    }
    // Whoever waits for the end hears of it; a test that ends before closes the group, which ends them.
    for (const writer of this.writers) writer.catch(() => {})
  }

  private async write(n: number): Promise<bigint> {
    const source = this.group.openSource(`counter-${n}`)
    const stop = new Int32Array(this.stop)
    const value = Buffer.alloc(COUNTER_BYTES)
    let count = 0n
    while (stop[0] === 0) {
      value.writeBigUInt64LE(++count)
      for (const name of COUNTED) await source.volume(name).write(n * COUNTER_BYTES, value)
    }
    return count
  }

  /** Holds an applied set and looks at it. Returns what is wrong with it; 'a cut' when all is well. */
  async look(): Promise<string> {
    using _ = await this.group.holdApplied()
    for (const [n, [a, b, c]] of this.read().entries()) {
      if (!(a >= b && b >= c && c >= a - 1n)) return `writer ${n}: ${a} ${b} ${c}`
    }
    return 'a cut'
  }

  /** Resolves when something of each of them is in applied sets. */
  async begun(): Promise<void> {
    const applied = this.nextApplied()
    if (!(await this.haveAllBegun())) {
      await applied
      await this.begun()
    }
  }

  private async haveAllBegun(): Promise<boolean> {
    using _ = await this.group.holdApplied()
    return this.read().every(([a]) => a > 0n)
  }

  private nextApplied(): Promise<void> {
    return new Promise((resolve) => {
      const onSet = ({ state }: SetReport): void => {
        if (state !== 'applied') return
        this.group.off('set', onSet)
        resolve()
      }
      this.group.on('set', onSet)
    })
  }

  /** Stops them. Returns the last number of each. */
  async end(): Promise<bigint[]> {
    new Int32Array(this.stop)[0] = 1
    return Promise.all(this.writers)
  }

  /** What the secondary volumes hold, by writer. Between sets: only while applying is held, or over. */
  read(): [bigint, bigint, bigint][] {
    const images = COUNTED.map((name) => imageOf(this.directory, name))
    return this.writers.map(
      (_, n) => images.map((image) => image.readBigUInt64LE(n * COUNTER_BYTES)) as [bigint, bigint, bigint]
    )
  }
}

/** Resolves with the next report that is such. */
export function nextView(group: BackupGroup, isWanted: (report: ViewReport) => boolean): Promise<ViewReport> {
  return new Promise((resolve) => {
    const onView = (report: ViewReport): void => {
      if (!isWanted(report)) return
      group.off('view', onView)
      resolve(report)
    }
    group.on('view', onView)
  })
}

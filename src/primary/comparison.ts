import fs from 'node:fs'
import { Piscina } from 'piscina'
import { TidemarkError } from '../errors.ts'
import { threadArguments, threadFile } from '../runtime/thread-file.ts'
import type { CompareTask, Differences } from './compare-thread.ts'

/** At most so many bytes are compared at once. */
export const COMPARE_BYTES = 1 << 20
export const COMPARE_THREADS = 2
const IDLE_MS = 1000

/** Where one volume's primary differs from its secondary. A secondary elsewhere will answer by digests. */
export interface SecondaryBlocks {
  /** Nothing is written to the range of the primary meanwhile. At most COMPARE_BYTES. */
  differences(offset: number, length: number): Promise<Differences>
}

/** Threads that compare, as long as there is something to compare. */
export class Comparison {
  private pool: Piscina | undefined

  of(primary: string, image: string, isEmpty: boolean): SecondaryBlocks {
    const task = { primary, image: isEmpty ? null : image }
    return { differences: (offset, length) => this.compare({ ...task, offset, length }) }
  }

  async close(): Promise<void> {
    await this.pool?.destroy()
  }

  private async compare(task: CompareTask): Promise<Differences> {
    const execArgv = threadArguments()
    this.pool ??= new Piscina({
      ...(execArgv && { execArgv }),
      filename: threadFile('../primary/compare-thread'),
      minThreads: 0,
      maxThreads: COMPARE_THREADS,
      idleTimeout: IDLE_MS,
      recordTiming: false,
      workerHistogram: false
    })
    try {
      return (await this.pool.run(task)) as Differences
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause)
      const message = `cannot compare ${task.primary} with its secondary volume: ${said}`
      throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: task.primary, offset: task.offset }, { cause })
    }
  }
}

/** ext2 to 4, XFS, Btrfs, tmpfs, overlays: there a file that was synced and has no blocks holds no data. */
const TRUTHFUL = [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630]

/** The file certainly reads as zeros from its beginning to its end: nothing was ever written to it. Call it when it is synced. */
export async function hasNoBlocks(path: string): Promise<boolean> {
  const [{ blocks }, { type }] = await Promise.all([fs.promises.stat(path), fs.promises.statfs(path)])
  return blocks === 0 && TRUTHFUL.includes(type)
}

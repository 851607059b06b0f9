import fs from 'node:fs'
import type { Commit } from './commit-log.ts'
import { errnoOf, ioError } from './files.ts'
import { type HistoryPolicy, isPoint, oldestToKeep } from './kept-sets.ts'
import { lowestLease } from './leases.ts'
import type { HistoryBounds } from './state.ts'
import { listUndo, listUnfinished, undoPath } from './undo.ts'

export interface RetentionOptions {
  /** DIR/tidemark/history. */
  readonly directory: string
  /** DIR/tidemark/leases. */
  readonly leases: string
  readonly policy: HistoryPolicy
}

/**
 * How many applied sets are kept, as the first component sees to it. Three steps, in this order (docs/history.md): the oldest
 * kept set is published (with the mark, by the caller), leases are listed, and what neither needs is removed. A reader
 * writes its lease before it reads the oldest kept set, so either its lease is listed here or it sees that its set is gone.
 */
export class Retention {
  private readonly options: RetentionOptions
  /** Sets that count, of those that are kept; in order. */
  private points: { set: number; time: number }[] = []
  /** Sets of which there may be undo, with the number of components. */
  private undone: { set: number; components: number }[] = []

  /** @param applied  records of applied sets, in order */
  constructor(options: RetentionOptions, bounds: HistoryBounds, applied: readonly Commit[]) {
    this.options = options
    for (const commit of applied) this.add(commit, bounds)
  }

  /** The set is about to be marked as applied. Returns what is to be published with that. */
  applied(commit: Commit, bounds: HistoryBounds): HistoryBounds {
    this.add(commit, bounds)
    const oldest = oldestToKeep(this.options.policy, bounds, this.points)
    while ((this.points[0]?.set ?? oldest) < oldest) this.points.shift()
    return { ...bounds, oldest }
  }

  /** When that is published. Returns the oldest set that is needed, by whoever: records from it on stay. */
  drop({ oldest }: HistoryBounds): number {
    if ((this.undone[0]?.set ?? Number.POSITIVE_INFINITY) > oldest) return oldest
    const needed = Math.min(oldest, lowestLease(this.options.leases))
    for (let next = this.undone[0]; next !== undefined && next.set <= needed; next = this.undone[0]) {
      for (let component = 0; component < next.components; component++) {
        removeUndo(undoPath(this.options.directory, component, next.set))
      }
      this.undone.shift()
    }
    return needed
  }

  private add(commit: Commit, bounds: HistoryBounds): void {
    // Marked once more, when there was no room for the mark.
    if (this.undone.at(-1)?.set === commit.set) return
    this.undone.push({ set: commit.set, components: commit.parts.length })
    if (commit.set >= bounds.oldest && isPoint(commit)) this.points.push({ set: commit.set, time: commit.time })
  }
}

/** While a directory is opened or closed: all undo that is not needed, whoever left it. */
export function sweepUndo(directory: string, leases: string, oldest: number): void {
  const needed = Math.min(oldest, lowestLease(leases))
  for (const undo of listUndo(directory)) if (undo.set <= needed) removeUndo(undo.path)
  for (const file of listUnfinished(directory)) removeUndo(file)
}

function removeUndo(file: string): void {
  try {
    // Not made durable: one that comes back after a crash is removed when the directory is opened.
    fs.unlinkSync(file)
  } catch (cause) {
    // A predecessor was about to, or the component had nothing to save.
    if (errnoOf(cause) === 'ENOENT') return
    throw ioError('remove', file, cause)
  }
}

import { TidemarkError } from '../errors.ts'
import { BlockSums } from './block-sums.ts'
import { type BlockRange, differingBlocks, filterBlocks } from './check-image.ts'
import type { Commit } from './commit-log.ts'
import { type Layout, layoutOf } from './format.ts'
import type { StoreVolume } from './images.ts'
import { LeftBlocks } from './left-blocks.ts'
import { findWriter } from './lock.ts'
import { waitingCommits } from './recover.ts'
import { type SecondaryState, StateFile } from './state.ts'

/** A piece of a volume to be judged, as it is given to a thread. */
export interface BlocksTask {
  readonly directory: string
  readonly volumes: readonly StoreVolume[]
  readonly volume: number
  readonly ranges: readonly BlockRange[]
  /** The applied set when all of this began. */
  readonly appliedAtBegin: number
  /** Who asks holds the directory's lock: nobody writes. */
  readonly isLocked: boolean
}

export interface BlocksJudged {
  /** Certainly not as they were written. */
  readonly wrong: BlockRange[]
  /** Not as the checksums say, and it may be that they are just being written. */
  readonly undecided: BlockRange[]
  /** The set that a crash left half applied, where blocks were passed over because they may be in it. */
  readonly unfinishedSet: number | null
}

const NOTHING: BlocksJudged = { wrong: [], undecided: [], unfinishedSet: null }

/** Decided at once, so that a moment without writing is long enough for it. */
const DECIDED_BLOCKS = 64
/** How long a thread waits for such a moment. */
const WAIT_MS = 20

/** Kept for the next task: the journal of a large set is not read for each of them. */
let left: { readonly directory: string; readonly blocks: LeftBlocks } | null = null

/**
 * Compares blocks with their checksums while a group may write to both. A block whose checksum is right is right, whatever
 * else goes on. One whose checksum is wrong may be between the write of its bytes and that of its sum, so it counts only
 *
 * - while no set is being applied: `applying` none and the same `appliedSet` before it was read and after. The set is
 *   announced before its first byte, and marked when images and sums hold it.
 * - and none was half applied before this writer came: the announcement of a set that a power failure interrupted may not be
 *   on the disk. Either none waits to be applied, or one was marked since we began, which recovery does in order.
 *
 * Where certainly nobody writes and a crash has left a set half applied, the blocks that it touches are not judged.
 */
export function judgeBlocks(task: BlocksTask): BlocksJudged {
  const layout = layoutOf(task.directory)
  const sums = BlockSums.open(layout.checksums, task.volumes, 'read')
  if (sums === null) return NOTHING
  const state = StateFile.open(layout.state, 'read')
  try {
    const { volume, volumes } = task
    const differing = differingBlocks(sums, volume, volumes[volume] as StoreVolume, task.ranges)
    return differing.length === 0 ? NOTHING : new Judge(task, layout, sums, state).decide(differing)
  } finally {
    state.close()
    sums.close()
  }
}

class Judge {
  private readonly task: BlocksTask
  private readonly layout: Layout
  private readonly sums: BlockSums
  private readonly state: StateFile
  private readonly wrong: BlockRange[] = []
  private unfinishedSet: number | null = null

  constructor(task: BlocksTask, layout: Layout, sums: BlockSums, state: StateFile) {
    this.task = task
    this.layout = layout
    this.sums = sums
    this.state = state
  }

  decide(differing: readonly BlockRange[]): BlocksJudged {
    const until = performance.now() + WAIT_MS
    let undecided = inPieces(differing)
    do {
      undecided = undecided.flatMap((piece) => this.decidePiece(piece))
    } while (undecided.length > 0 && performance.now() < until)
    return { wrong: this.wrong, undecided, unfinishedSet: this.unfinishedSet }
  }

  /** What is left of it to be decided. */
  private decidePiece(piece: BlockRange): BlockRange[] {
    const { task, state, sums } = this
    const hadWriter = this.hasWriter()
    const before = state.refresh()
    const differing = differingBlocks(sums, task.volume, task.volumes[task.volume] as StoreVolume, [piece])
    if (differing.length === 0 || !isSame(before, state.refresh())) return differing
    const waiting = this.waiting(before)
    if (before.applying === null && (waiting.length === 0 || before.appliedSet > task.appliedAtBegin)) {
      // Nothing has begun to wait and was applied since.
      if (!isSame(before, state.refresh())) return differing
      this.wrong.push(...differing)
      return []
    }
    if (hadWriter) return differing
    // Nobody writes. What a crash has interrupted, announced or not, is the first that waits.
    const [commit] = waiting
    const blocks = commit && this.leftBy(commit)
    if (this.hasWriter() || !isSame(before, state.refresh())) return differing
    const certain = filterBlocks(differing, (block) => blocks?.has(task.volume, block) !== true)
    this.wrong.push(...certain)
    if (commit !== undefined && countOf(certain) < countOf(differing)) this.unfinishedSet = commit.set
    return []
  }

  private hasWriter(): boolean {
    return !this.task.isLocked && findWriter(this.layout.lock) !== null
  }

  private leftBy(commit: Commit): LeftBlocks {
    const { directory, volumes } = this.task
    if (left === null || left.directory !== directory || left.blocks.set !== commit.set) {
      left = { directory, blocks: new LeftBlocks(this.layout, commit, volumes.length) }
    }
    return left.blocks
  }

  /** A damaged commit log is told elsewhere; what waits is not known then. */
  private waiting(state: SecondaryState): Commit[] {
    try {
      return waitingCommits(this.layout, state)
    } catch (cause) {
      if (cause instanceof TidemarkError && cause.code === 'TIDEMARK_CORRUPT') return []
      throw cause
    }
  }
}

function isSame(a: SecondaryState, b: SecondaryState): boolean {
  return a.appliedSet === b.appliedSet && a.applying === b.applying
}

function countOf(ranges: readonly BlockRange[]): number {
  return ranges.reduce((sum, { count }) => sum + count, 0)
}

function inPieces(ranges: readonly BlockRange[]): BlockRange[] {
  const pieces: BlockRange[] = []
  for (const { first, count } of ranges) {
    for (let at = 0; at < count; at += DECIDED_BLOCKS) {
      pieces.push({ first: first + at, count: Math.min(DECIDED_BLOCKS, count - at) })
    }
  }
  return pieces
}

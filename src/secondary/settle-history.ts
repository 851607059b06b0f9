import { readCommits } from './commit-log.ts'
import type { Layout } from './format.ts'
import { type HistoryPolicy, isPoint, oldestToKeep } from './kept-sets.ts'
import { changedBy } from './manifest.ts'
import { sweepUndo } from './retention.ts'
import { type HistoryBounds, StateFile } from './state.ts'
import { listUndo } from './undo.ts'

/**
 * When a directory has been opened for writing and recovered: history is begun, dropped or shortened as is asked for, and goes
 * back no farther than it is complete.
 * @param policy  null: none is wanted; undefined: whatever there is goes on
 */
export function settleHistory(layout: Layout, policy: HistoryPolicy | null | undefined): void {
  const state = StateFile.open(layout.state, 'write')
  try {
    const { history, appliedSet } = state.current
    const wanted = policy === null || (policy === undefined && history === null) ? null : { policy }
    const bounds = wanted === null ? null : settled(layout, history, appliedSet, wanted.policy)
    // Published before anything is removed, as always.
    if (bounds?.since !== history?.since || bounds?.oldest !== history?.oldest) state.keepHistory(bounds)
    sweepUndo(layout.history, layout.leases, bounds?.oldest ?? appliedSet)
  } finally {
    state.close()
  }
}

function settled(
  layout: Layout,
  history: HistoryBounds | null,
  appliedSet: number,
  policy: HistoryPolicy | undefined
): HistoryBounds {
  if (history === null) return { since: appliedSet, oldest: appliedSet }
  const oldest = oldestComplete(layout, history.oldest, appliedSet)
  const bounds = { ...history, oldest }
  if (policy === undefined) return bounds
  const { commits } = readCommits(layout.commits)
  const points = commits.filter((commit) => commit.set >= oldest && commit.set <= appliedSet && isPoint(commit))
  return { ...bounds, oldest: oldestToKeep(policy, bounds, points) }
}

/** The oldest set from which on no record and no undo part is missing. */
function oldestComplete(layout: Layout, oldest: number, appliedSet: number): number {
  const { commits, damagedBefore } = readCommits(layout.commits)
  const undo = new Set(listUndo(layout.history).map(({ component, set }) => `${component}-${set}`))
  const applied = commits.filter(({ set }) => set > oldest && set <= appliedSet)
  // The last record may be the one that is missing: undo of the last applied set would not be looked for.
  if (oldest < appliedSet && applied.at(-1)?.set !== appliedSet) return appliedSet
  const broken = applied.findLast(
    (commit) =>
      commit.set === damagedBefore || changedBy(commit).some((component) => !undo.has(`${component}-${commit.set}`))
  )
  return broken === undefined ? oldest : broken.set
}

import fs from 'node:fs'
import type { JournalProblem } from '../types.ts'
import { UNDO_MAGIC } from './block.ts'
import type { Expected } from './check-journal.ts'
import { beginSegmentCheck, type SegmentCheck } from './check-segment.ts'
import type { Layout } from './format.ts'
import { changedBy } from './manifest.ts'
import { readState } from './state.ts'
import { listUndo, undoPath } from './undo.ts'

/** All undo parts that have their names: each is whole, and never written again. */
export function beginHistoryCheck(layout: Layout): SegmentCheck[] {
  return listUndo(layout.history).map(({ path, component, set }) =>
    beginSegmentCheck({ path, component, firstSet: set }, UNDO_MAGIC)
  )
}

/**
 * What is wrong with the history, by what was found in all undo parts.
 * @param expected  read before the parts were listed: undo of what was applied then is among them, or was dropped since
 */
export function judgeHistory(layout: Layout, expected: Expected, checks: readonly SegmentCheck[]): JournalProblem[] {
  const damaged = checks.flatMap(problemsOf)
  const listed = new Set(checks.map(({ segment }) => segment.path))
  const { history, appliedSet } = expected.state
  if (history === null) return damaged
  const missing = expected.commits.flatMap((commit): JournalProblem[] => {
    const { set } = commit
    if (set <= history.oldest || set > appliedSet) return []
    return changedBy(commit).flatMap((component) => {
      const path = undoPath(layout.history, component, set)
      if (listed.has(path) || isDropped(layout, path, set)) return []
      const reason = `there is no undo of set ${set} by secondary component ${component}: older sets cannot be restored`
      return [{ path, set, component, reason }]
    })
  })
  return [...damaged, ...missing]
}

function problemsOf({ segment, parts, damage, doubtful, reading }: SegmentCheck): JournalProblem[] {
  const { path, component, firstSet: set } = segment
  const found = [...damage, ...(doubtful === null ? [] : [doubtful])].map((end) => ({ ...end, set, component }))
  if (found.length > 0) return found
  if (parts.length === 1 && parts[0]?.set === set && reading === null) return []
  // Retention has removed it meanwhile.
  if (!fs.existsSync(path)) return []
  return [{ path, set, component, reason: `it is not one whole undo part of set ${set}` }]
}

/** A live writer publishes first which sets it keeps no more, and then removes what only they need. */
function isDropped(layout: Layout, path: string, set: number): boolean {
  return fs.existsSync(path) || set <= (readState(layout.state).history?.oldest ?? Number.POSITIVE_INFINITY)
}

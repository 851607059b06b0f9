import { TidemarkError } from '../errors.ts'
import type { JournalProblem } from '../types.ts'
import type { SegmentCheck } from './check-segment.ts'
import { type Commit, readCommits } from './commit-log.ts'
import type { Layout } from './format.ts'
import { isCovered } from './manifest.ts'
import { waitingCommits } from './recover.ts'
import { readState, type SecondaryState } from './state.ts'

/** What the journal is to hold. Read before the journal is: parts of what is committed are on the disk. */
export interface Expected {
  readonly journal: string
  readonly state: SecondaryState
  readonly commits: readonly Commit[]
  /** Of the commit log itself. */
  readonly problems: readonly JournalProblem[]
}

export function readExpected(layout: Layout): Expected {
  const state = readState(layout.state)
  const problems: JournalProblem[] = []
  try {
    waitingCommits(layout, state)
  } catch (cause) {
    if (!(cause instanceof TidemarkError) || cause.code !== 'TIDEMARK_CORRUPT') throw cause
    problems.push({ path: layout.commits, reason: cause.message })
  }
  const { commits, damagedBefore, repaired } = readCommits(layout.commits)
  for (const set of repaired) {
    problems.push({ path: layout.commits, reason: `one of the two copies of the record of set ${set} is damaged`, set })
  }
  if (damagedBefore > 0 && problems.length === 0) {
    const reason = `a damaged record before that of set ${damagedBefore}`
    problems.push({ path: layout.commits, reason, set: damagedBefore })
  }
  return { journal: layout.journal, state, commits, problems }
}

/**
 * What is wrong with the journal, by what was found in all its segments. Of each set that has a commit record every
 * component's part must be whole, unless its segment was removed: that is done when all sets in it are applied.
 */
export function judgeJournal(expected: Expected, checks: readonly SegmentCheck[]): JournalProblem[] {
  const problems: JournalProblem[] = [...expected.problems]
  const told = new Set<SegmentCheck>()
  for (const check of checks) {
    for (const end of check.damage) problems.push({ ...end })
    if (check.doubtful === null || !isFollowed(check, checks)) continue
    problems.push({ ...check.doubtful })
    told.add(check)
  }
  for (const commit of expected.commits) {
    for (const set of setsSent(commit, checks)) {
      for (let component = 0; component < commit.parts.length; component++) {
        const segment = segmentOf(set, component, checks)
        if (segment?.parts.some((part) => part.set === set) === true) continue
        const isApplied = set <= expected.state.appliedSet
        if (segment === undefined && isApplied) continue
        const end = segment?.doubtful
        // What it ends with was no rest of an unfinished part, then.
        if (segment !== undefined && end != null && !told.has(segment)) {
          problems.push({ ...end })
          told.add(segment)
        }
        const since = isApplied ? 'it was applied' : 'it is secured and must still be applied'
        const reason = `the part of secondary component ${component} in set ${set} is not whole, though ${since}`
        problems.push({ path: segment?.segment.path ?? expected.journal, set, component, reason })
      }
    }
    problems.push(...missingOfSeveral(commit, expected, checks))
  }
  return problems
}

/** Sets of which parts were journaled: those that hold nothing may never have been sent. */
function setsSent(commit: Commit, checks: readonly SegmentCheck[]): number[] {
  if (commit.parts.every(({ updates }) => updates === 0)) return []
  if (commit.first === undefined) return [commit.set]
  const found = checks.flatMap(({ parts }) => parts.map((part) => part.set))
  return [...new Set(found.filter((set) => isCovered(commit, set)))].sort((a, b) => a - b)
}

/** A segment is begun when all before it is on the disk: only the last of a component may hold a part that is not finished. */
function isFollowed({ segment }: SegmentCheck, checks: readonly SegmentCheck[]): boolean {
  const isLater = (other: SegmentCheck): boolean => other.segment.firstSet > segment.firstSet
  return checks.some((other) => other.segment.component === segment.component && isLater(other))
}

/** The one in which the set was journaled, if it is still there: the last that began with it or before. */
function segmentOf(set: number, component: number, checks: readonly SegmentCheck[]): SegmentCheck | undefined {
  return checks.findLast(({ segment }) => segment.component === component && segment.firstSet <= set)
}

/** As long as they are not applied, parts of sets that were secured as one hold what the record lists of each component. */
function missingOfSeveral(commit: Commit, expected: Expected, checks: readonly SegmentCheck[]): JournalProblem[] {
  const { set, first } = commit
  if (first === undefined || set <= expected.state.appliedSet) return []
  return commit.parts.flatMap(({ updates }, component) => {
    let found = 0
    for (const { segment, parts } of checks) {
      if (segment.component !== component) continue
      for (const part of parts) if (isCovered(commit, part.set)) found += part.updates
    }
    if (found === updates) return []
    const reason = `sets ${first} to ${set} were secured as one with ${updates} updates of secondary component ${component}, ${found} are there`
    return [{ path: expected.journal, set, component, reason }]
  })
}

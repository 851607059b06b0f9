import type { Part } from './block.ts'
import type { Commit } from './commit-log.ts'

/** The set, or one of those that are secured as one with it. */
export function isCovered(commit: Commit, set: number): boolean {
  return set <= commit.set && set >= (commit.first ?? commit.set)
}

/**
 * A component's parts of all covered sets are what the record says that it journaled. Which of the sets hold nothing, and
 * were not sent, it need not say: a part with anything in it that is missing changes the sums.
 */
export function isAsListed(commit: Commit, component: number, parts: readonly Part[]): boolean {
  const listed = commit.parts[component]
  let [updates, bytes] = [0, 0]
  for (const part of parts) {
    updates += part.frames.length
    bytes += part.bytes
  }
  return updates === listed?.updates && bytes === listed.bytes
}

/** The components in whose volumes the set changes something: those that save undo of it. */
export function changedBy({ parts }: Commit): number[] {
  return [...parts.keys()].filter((component) => (parts[component]?.updates ?? 0) > 0)
}

import { TidemarkError } from '../errors.ts'
import type { Commit } from './commit-log.ts'
import type { HistoryBounds, SecondaryState } from './state.ts'

/** How many applied sets are kept, or for how long. */
export type HistoryPolicy = { readonly sets: number } | { readonly ageMs: number }

/** A set as which the secondary can be restored. */
export interface KeptSet {
  readonly set: number
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly updates: number
  readonly bytes: number
  readonly label?: string
}

/** What is asked for; nothing: the last applied set. */
export interface WantedSet {
  readonly set?: number | string
  readonly time?: number
}

/** Whether a set counts: one that holds nothing is as the one before it, unless it was named to be found again. */
export function isPoint({ updates, label }: KeptSet): boolean {
  return updates > 0 || label !== undefined
}

/**
 * In order; the last applied set is the last of them.
 * @param commits  read after the state: retention may have removed records since, the newest ones are there
 */
export function keptSets({ appliedSet, appliedTime, history }: SecondaryState, commits: readonly Commit[]): KeptSet[] {
  if (appliedSet === 0 || appliedTime === null) return []
  const oldest = history === null ? appliedSet : history.oldest
  const kept: KeptSet[] = commits.filter(
    (commit) => commit.set < appliedSet && commit.set >= oldest && (isPoint(commit) || commit.set === oldest)
  )
  const last = commits.findLast(({ set }) => set === appliedSet)
  return [...kept, last ?? { set: appliedSet, time: appliedTime, updates: 0, bytes: 0 }]
}

/** The oldest set to keep. @param applied  points in order, the newest one last */
export function oldestToKeep(
  policy: HistoryPolicy,
  bounds: HistoryBounds,
  applied: readonly { readonly set: number; readonly time: number }[]
): number {
  const newest = applied.at(-1)
  if (newest === undefined) return bounds.oldest
  const wanted =
    'sets' in policy
      ? applied.at(-policy.sets)
      : // The state at any instant within the age: that of the last set before it.
        applied.findLast(({ time }) => time <= newest.time - policy.ageMs)
  return Math.max(bounds.oldest, wanted?.set ?? 0)
}

/**
 * The kept set that is meant: a number between two is the older one, as an instant between two is.
 * @throws TidemarkError TIDEMARK_OPTIONS (`details.missing`) for one that is not kept any more, never was, or is not applied
 */
export function findKept(kept: readonly KeptSet[], { set, time }: WantedSet): KeptSet {
  const newest = kept.at(-1)
  if (newest === undefined) throw notKept('no set has been applied yet', null, kept)
  if (set !== undefined && time !== undefined) {
    throw new TidemarkError('TIDEMARK_OPTIONS', 'a set or a time is restored, not both', { set, time })
  }
  if (typeof set === 'string') {
    const named = kept.findLast(({ label }) => label === set)
    if (named === undefined) throw notKept(`no kept set is named ${JSON.stringify(set)}`, set, kept)
    return named
  }
  if (set !== undefined) {
    if (!Number.isSafeInteger(set) || set < 0) {
      throw new TidemarkError('TIDEMARK_OPTIONS', `set ${set} is not a set identifier or a name`, { set })
    }
    if (set > newest.set) throw notKept(`set ${set} is not applied yet, or holds nothing`, set, kept)
    const found = kept.findLast((one) => one.set <= set)
    if (found === undefined) throw notKept(`set ${set} is not kept`, set, kept)
    return found
  }
  if (time !== undefined) {
    if (!Number.isFinite(time)) throw new TidemarkError('TIDEMARK_OPTIONS', `${time} is not an instant`, { time })
    const found = kept.findLast((one) => one.time <= time)
    if (found === undefined) throw notKept(`no kept set is as old as ${new Date(time).toISOString()}`, null, kept)
    return found
  }
  return newest
}

/** @param set  as it was asked for; null where it was not by a set */
export function notKept(why: string, set: number | string | null, kept: readonly KeptSet[]): TidemarkError {
  const oldest = kept[0]?.set ?? null
  const newest = kept.at(-1)?.set ?? null
  const which = newest === null ? '' : `: sets ${oldest} to ${newest} are kept`
  return new TidemarkError('TIDEMARK_OPTIONS', `${why}${which}`, { set, oldest, newest, missing: true })
}

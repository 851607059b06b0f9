import type { Part } from './block.ts'
import type { Commit } from './commit-log.ts'
import { listSegments, missingPart, readSegment, type SegmentEnd } from './journal-reader.ts'
import { isAsListed, isCovered } from './manifest.ts'

/** A segment as a component that died has left it. */
export interface LeftSegment {
  readonly path: string
  /** Parts that are whole, of sets that are not applied yet. */
  readonly parts: readonly Part[]
  /** The last set of which it holds a whole part; 0 for none. */
  readonly lastSet: number
  /** Where that part ends: what follows is of a part that was never finished. */
  readonly length: number
  readonly end: SegmentEnd | null
}

/** What one component's journal holds, in order. Changes nothing. */
export function readLeft(journal: string, component: number, applied: number): LeftSegment[] {
  const own = listSegments(journal).filter((segment) => segment.component === component)
  return own.map((segment) => {
    const parts: Part[] = []
    let lastSet = 0
    let length = 0
    const end = readSegment(segment, (part, partEnd) => {
      if (part.set > applied) parts.push(part)
      lastSet = part.set
      length = partEnd
    })
    return { path: segment.path, parts, lastSet, length, end }
  })
}

/** Others may rely on the set that was told last: it must be there. */
export function checkLeft(left: readonly LeftSegment[], component: number, journaled: number): void {
  if (left.some(({ parts }) => parts.some(({ set }) => set === journaled))) return
  throw missingPart(component, journaled, 'it was told to be there', endsOf(left))
}

/** Without this, a set whose part was damaged would be taken for one of which nothing came, and be applied without it. */
export function checkManifests(
  left: readonly LeftSegment[],
  component: number,
  commits: readonly Commit[],
  applied: number
): void {
  const parts = left.flatMap((segment) => segment.parts)
  for (const commit of commits) {
    if (commit.set <= applied) continue
    const covered = parts.filter(({ set }) => isCovered(commit, set))
    if (!isAsListed(commit, component, covered)) {
      throw missingPart(component, commit.first ?? commit.set, 'the set was secured', endsOf(left))
    }
  }
}

function endsOf(left: readonly LeftSegment[]): SegmentEnd[] {
  return left.flatMap(({ end }) => (end === null ? [] : [end]))
}

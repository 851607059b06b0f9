import type { Part } from './block.ts'
import { listSegments, missingPart, readSegment, type SegmentEnd } from './journal-reader.ts'

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

/** Without this, a set whose part was damaged would be taken for one of which nothing came, and be applied without it. */
export function checkLeft(left: readonly LeftSegment[], component: number, expected: ReadonlySet<number>): void {
  const missing = new Set(expected)
  for (const { parts } of left) for (const { set } of parts) missing.delete(set)
  for (const set of missing) {
    const ends = left.flatMap(({ end }) => (end === null ? [] : [end]))
    throw missingPart(component, set, 'it was told to be there', ends)
  }
}

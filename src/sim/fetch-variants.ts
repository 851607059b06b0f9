import { type EndedFetch, Merging } from '../protocol/merging.ts'
import type { Variant } from './variant.ts'

/** Sets with bytes that may be newer than they are secured by themselves. */
class NotMerged extends Merging {
  override boundOf(set: number): number {
    return set
  }
}

/** The forming set is loaded when the fetch ends, not when what had been posted by then has been taken. */
class BoundTooEarly extends Merging {
  protected override isTaken(_fetch: EndedFetch): boolean {
    return true
  }
}

export const FETCH_VARIANTS: readonly Variant[] = [
  {
    name: 'not-merged',
    breaks: 'sets with bytes that were fetched again are applied by themselves',
    merging: NotMerged
  },
  {
    name: 'bound-too-early',
    breaks: 'what is applied together with fetched bytes is decided before what was posted has been taken',
    merging: BoundTooEarly
  }
]

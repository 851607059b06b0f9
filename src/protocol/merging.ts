import type { CountedSource } from './conservation.ts'

export interface EndedFetch {
  readonly set: number
  /** By source: what it had published when the fetch had ended. */
  readonly published: ReadonlyMap<CountedSource, number>
}

/**
 * Which sets are secured and applied as one. Bytes that were fetched again from the primary may be newer than the update that
 * lost them: whatever wrote them was published before the fetch ended. So the positions of all sources are noted then; when
 * all of that has been taken, the forming set is loaded: no update that the fetch can have seen is in a later one
 * (SYSTEM.md 6, "Metadata-only mirrors").
 */
export class Merging {
  private readonly sources: ReadonlySet<CountedSource>
  private readonly ended: EndedFetch[] = []
  /** By set: the last one that has to be applied together with it. */
  private readonly bounds = new Map<number, number>()

  constructor(sources: ReadonlySet<CountedSource>) {
    this.sources = sources
  }

  /** Bytes of an update of this set were fetched. */
  fetchEnded(set: number): void {
    const published = new Map<CountedSource, number>()
    for (const source of this.sources) published.set(source, source.memory.loadPublished())
    this.ended.push({ set, published })
  }

  /** @returns whether a bound became known */
  step(loadForming: () => number): boolean {
    let known = false
    for (const fetch of [...this.ended]) {
      if (!this.isTaken(fetch)) continue
      this.ended.splice(this.ended.indexOf(fetch), 1)
      // After the positions: what was taken up to them has an identifier of at most this one.
      this.bounds.set(fetch.set, Math.max(this.bounds.get(fetch.set) ?? 0, loadForming()))
      known = true
    }
    return known
  }

  /** Bytes were fetched, and what was posted before has not all been taken. */
  get isPending(): boolean {
    return this.ended.length > 0
  }

  /** The last set that must be applied together with this one, itself where nothing was fetched; undefined: not known yet. */
  boundOf(set: number): number | undefined {
    if (this.ended.some((fetch) => fetch.set === set)) return undefined
    return Math.max(set, this.bounds.get(set) ?? set)
  }

  secured(set: number): void {
    this.bounds.delete(set)
  }

  /**
   * Acknowledged is taken; a source that is not counted any more has nothing left that could be. Overridden in the
   * simulator's broken variants only.
   */
  protected isTaken(fetch: EndedFetch): boolean {
    for (const [source, position] of fetch.published) {
      if (this.sources.has(source) && ((source.memory.loadReleased() - position) | 0) < 0) return false
    }
    return true
  }
}

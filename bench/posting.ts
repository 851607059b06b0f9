/** What a thread that is a source is asked, of a group or of the bare path. */
export type PostRequest =
  | { readonly type: 'post'; readonly count: number }
  | { readonly type: 'paced'; readonly perSecond: number; readonly forMs: number }

export interface PostResult {
  /** Microseconds by the clock that all threads share. */
  readonly beganAt: number
  readonly endedAt: number
  /** Updates since the thread began. */
  readonly posted: number
}

/** From the first update posted to the last one acknowledged, of sources that posted at once. */
export function elapsedMs(results: readonly PostResult[]): number {
  const beganAt = Math.min(...results.map((result) => result.beganAt))
  return (Math.max(...results.map((result) => result.endedAt)) - beganAt) / 1000
}

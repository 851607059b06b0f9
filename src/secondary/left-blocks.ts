import { FRAME_LENGTH, FRAME_OFFSET, FRAME_VOLUME } from './block.ts'
import { SUM_BLOCK_BYTES } from './block-sums.ts'
import type { Commit } from './commit-log.ts'
import type { Layout } from './format.ts'
import { listSegments, readSegment } from './journal-reader.ts'
import { isCovered } from './manifest.ts'
import { orderByKey } from './sort-offsets.ts'

/** Which blocks the sets of one commit touch, by what the journal says: first and after the last, merged, in order. */
export class LeftBlocks {
  readonly set: number
  /** By volume. */
  private readonly starts: Float64Array[]
  private readonly ends: Float64Array[]

  constructor(layout: Layout, commit: Commit, volumes: number) {
    this.set = commit.set
    const found = Array.from({ length: volumes }, () => ({ starts: [] as number[], ends: [] as number[] }))
    for (const segment of listSegments(layout.journal)) {
      readSegment(segment, ({ set, frames }) => {
        if (!isCovered(commit, set)) return
        for (let row = 0; row < frames.length; row++) {
          const offset = frames.get(row, FRAME_OFFSET)
          const length = frames.get(row, FRAME_LENGTH)
          const ofVolume = found[frames.get(row, FRAME_VOLUME)]
          if (length === 0 || ofVolume === undefined) continue
          ofVolume.starts.push(Math.floor(offset / SUM_BLOCK_BYTES))
          ofVolume.ends.push(Math.ceil((offset + length) / SUM_BLOCK_BYTES))
        }
      })
    }
    const merged = found.map(({ starts, ends }) => merge(starts, ends))
    this.starts = merged.map(({ starts }) => starts)
    this.ends = merged.map(({ ends }) => ends)
  }

  has(volume: number, block: number): boolean {
    const starts = this.starts[volume] as Float64Array
    let low = 0
    let high = starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((starts[middle] as number) <= block) low = middle + 1
      else high = middle
    }
    return low > 0 && block < ((this.ends[volume] as Float64Array)[low - 1] as number)
  }
}

function merge(starts: readonly number[], ends: readonly number[]): { starts: Float64Array; ends: Float64Array } {
  const order = orderByKey(Float64Array.from(starts), starts.length)
  const merged = { starts: new Float64Array(starts.length), ends: new Float64Array(starts.length) }
  let count = 0
  for (const n of order) {
    const start = starts[n] as number
    const end = ends[n] as number
    if (count > 0 && start <= (merged.ends[count - 1] as number)) {
      merged.ends[count - 1] = Math.max(end, merged.ends[count - 1] as number)
      continue
    }
    merged.starts[count] = start
    merged.ends[count++] = end
  }
  return { starts: merged.starts.slice(0, count), ends: merged.ends.slice(0, count) }
}

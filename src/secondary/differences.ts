/** Beyond it the last ones are told as one: a report must not outgrow the memory. */
const MOST_RANGES = 10_000

interface Range {
  readonly from: number
  readonly to: number
}

/** Byte ranges of one volume that differ, found in any order. */
export class Differences {
  private readonly size: number
  private ranges: Range[] = []

  constructor(size: number) {
    this.size = size
  }

  /** @param to  beyond the volume's end only where the image is longer than it */
  add(from: number, to: number): void {
    this.ranges.push({ from, to: from < this.size ? Math.min(to, this.size) : to })
    if (this.ranges.length > 2 * MOST_RANGES) this.ranges = limited(joined(this.ranges))
  }

  /** In order, adjacent ones joined. */
  list(): { offset: number; length: number }[] {
    return limited(joined(this.ranges)).map(({ from, to }) => ({ offset: from, length: to - from }))
  }
}

function joined(ranges: readonly Range[]): Range[] {
  const sorted = ranges.toSorted((a, b) => a.from - b.from)
  const found: Range[] = []
  for (const range of sorted) {
    const last = found.at(-1)
    if (last === undefined || range.from > last.to) found.push(range)
    else found[found.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
  }
  return found
}

function limited(ranges: Range[]): Range[] {
  if (ranges.length <= MOST_RANGES) return ranges
  const last = ranges[MOST_RANGES - 1] as Range
  return [...ranges.slice(0, MOST_RANGES - 1), { from: last.from, to: (ranges.at(-1) as Range).to }]
}

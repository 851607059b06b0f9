import { build, type Histogram } from 'hdr-histogram-js'

/** Percentiles in microseconds. */
export interface Latency {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

const LONGEST_NS = 60e9

/** An HDR histogram of durations, recorded in nanoseconds with three digits. */
export class LatencyHistogram {
  private readonly histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_NS,
    numberOfSignificantValueDigits: 3
  })

  /** @param ms  by performance.now() */
  record(ms: number): void {
    this.histogram.recordValue(Math.min(Math.max(1, Math.round(ms * 1e6)), LONGEST_NS))
  }

  read(): Latency {
    const { histogram } = this
    // A percentile is told as the upper end of its bucket, the largest value as it was.
    const at = (percentile: number): number =>
      Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue) / 1000
    return {
      count: histogram.totalCount,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: histogram.maxValue / 1000
    }
  }
}

import { build, type Histogram } from 'hdr-histogram-js'
import type { Board } from './memory/board.ts'
import type { SetRecord } from './runtime/messages.ts'
import type { GroupStatus } from './types.ts'

type LatencyName = keyof GroupStatus['latency']

/** A day in microseconds: longer ones are counted as this. */
const LONGEST = 24 * 3600 * 1e6

/** The group's latencies in HDR histograms, microseconds. Acknowledgements are sampled by the components. */
export class GroupLatencies {
  private readonly histograms: Record<LatencyName, Histogram>
  private readonly board: Board
  private readonly cursors: number[]

  constructor(board: Board) {
    this.board = board
    this.cursors = new Array<number>(board.layout.slots).fill(0)
    const histogram = (): Histogram =>
      build({ lowestDiscernibleValue: 1, highestTrackableValue: LONGEST, numberOfSignificantValueDigits: 3 })
    this.histograms = {
      acknowledge: histogram(),
      form: histogram(),
      secure: histogram(),
      apply: histogram(),
      failover: histogram()
    }
  }

  recordSet(record: SetRecord): void {
    const name = ({ formed: 'form', secured: 'secure', applied: 'apply' } as const)[record.state]
    this.record(name, record.afterMs * 1000)
    this.collect()
  }

  recordFailover(tookMs: number): void {
    this.record('failover', tookMs * 1000)
  }

  read(): GroupStatus['latency'] {
    this.collect()
    const read = (name: LatencyName): GroupStatus['latency'][LatencyName] => {
      const histogram = this.histograms[name]
      if (histogram.totalCount === 0) return { count: 0, p50: 0, p90: 0, p99: 0, max: 0 }
      // A percentile is told as the upper end of its bucket, the largest value as it was.
      const at = (percentile: number): number =>
        Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue)
      return {
        count: histogram.totalCount,
        p50: at(50),
        p90: at(90),
        p99: at(99),
        max: histogram.maxValue
      }
    }
    return {
      acknowledge: read('acknowledge'),
      form: read('form'),
      secure: read('secure'),
      apply: read('apply'),
      failover: read('failover')
    }
  }

  /** Components keep only the newest samples: they are fetched at each set and each look. */
  private collect(): void {
    for (let slot = 0; slot < this.cursors.length; slot++) {
      this.cursors[slot] = this.board.readSamples(slot, this.cursors[slot] as number, (microseconds) =>
        this.record('acknowledge', microseconds)
      )
    }
  }

  private record(name: LatencyName, microseconds: number): void {
    this.histograms[name].recordValue(Math.min(Math.max(1, Math.round(microseconds)), LONGEST))
  }
}

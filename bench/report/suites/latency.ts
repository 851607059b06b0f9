import type { Latency } from '../../latency.ts'
import { describePaced, LATENCY, type LatencyResult, PACED_HEAD } from '../../latency-suite.ts'
import { size } from '../../table.ts'
import type { Chart } from '../chart.ts'
import { microsecondsLabel } from '../labels.ts'
import { type Line, lineChart } from '../line-chart.ts'
import type { ChartedSuite } from '../section.ts'

const PLACES = ['p50', 'p90', 'p99', 'p99.9', 'max']

export const LATENCY_SECTION: ChartedSuite<LatencyResult[]> = {
  suite: LATENCY,
  section: (results) => ({
    charts: charts(results),
    figures: [{ caption: 'Acknowledge latency', head: PACED_HEAD, rows: results.flatMap(describePaced), left: 3 }]
  })
}

/** One for each size, all of the same height. */
function charts(results: readonly LatencyResult[]): Chart[] {
  const compared = results.flatMap(({ group, bare }) => [...values(group), ...values(bare)])
  const sizes = Map.groupBy(results, ({ lengthBytes }) => lengthBytes)
  return [...sizes].map(([lengthBytes, ofSize]) =>
    lineChart({
      title: `From put to acknowledged, ${size(lengthBytes)}`,
      places: PLACES,
      along: 'percentile',
      up: 'latency',
      label: microsecondsLabel,
      lines: ofSize.flatMap(lines),
      compared
    })
  )
}

function lines({ part, group, bare }: LatencyResult): Line[] {
  const rate = `at ${part * 100} %`
  // The lower rate is the dashed one.
  const isDashed = part < 0.5
  return [
    { name: `tidemark ${rate}`, colour: 'tidemark', isDashed, values: values(group) },
    { name: `bare path ${rate}`, colour: 'bare', isDashed, values: values(bare) }
  ]
}

function values({ p50, p90, p99, p999, max }: Latency): number[] {
  return [p50, p90, p99, p999, max]
}

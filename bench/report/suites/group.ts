import { describeLatencies, describeRate, GROUP, type GroupResult, LATENCY_HEAD, RATE_HEAD } from '../../group.ts'
import type { Rate } from '../../measure.ts'
import { size } from '../../table.ts'
import type { Chart } from '../chart.ts'
import { perSecondLabel } from '../labels.ts'
import { type Line, lineChart } from '../line-chart.ts'
import { SEQUENCE } from '../palette.ts'
import type { ChartedSuite, Figures } from '../section.ts'
import { usualComponents } from './usual-components.ts'

export const GROUP_SECTION: ChartedSuite<GroupResult[]> = {
  suite: GROUP,
  section: (results) => ({ charts: [bySize(results), ...byComponents(results)], figures: figures(results) })
}

function bySize(all: readonly GroupResult[]): Chart {
  const components = usualComponents(all)
  const results = all.filter((result) => result.components === components)
  const medians = (of: (result: GroupResult) => Rate): number[] => results.map((result) => of(result).median)
  return lineChart({
    title: `Acknowledged by a group of ${components}`,
    places: results.map(({ lengthBytes }) => ({ at: lengthBytes, label: size(lengthBytes) })),
    along: 'bytes of an update',
    up: 'updates/s',
    label: perSecondLabel,
    lines: [
      { name: 'tidemark', colour: 'tidemark', values: medians(({ rate }) => rate) },
      { name: 'bare path', colour: 'bare', isDashed: true, values: medians(({ bare }) => bare) },
      { name: 'postMessage', colour: 'postMessage', values: medians(({ postMessage }) => postMessage) }
    ]
  })
}

/** None where groups of one size only were measured. */
function byComponents(results: readonly GroupResult[]): Chart[] {
  const components = distinct(results.map((result) => result.components))
  if (components.length < 2) return []
  const lines = distinct(results.map(({ lengthBytes }) => lengthBytes)).flatMap((lengthBytes, n): Line[] => {
    const colour = SEQUENCE[n % SEQUENCE.length] ?? 'text'
    const medians = (of: (result: GroupResult) => Rate): (number | undefined)[] =>
      components.map((count) => {
        const found = results.find((result) => result.components === count && result.lengthBytes === lengthBytes)
        return found === undefined ? undefined : of(found).median
      })
    return [
      { name: size(lengthBytes), colour, values: medians(({ rate }) => rate) },
      { name: `${size(lengthBytes)}, bare path`, colour, isDashed: true, values: medians(({ bare }) => bare) }
    ]
  })
  const places = components.map((count) => ({ at: count, label: String(count) }))
  const [along, up] = ['components', 'updates/s']
  return [lineChart({ title: 'The same by components of the group', places, along, up, label: perSecondLabel, lines })]
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b)
}

function figures(results: readonly GroupResult[]): Figures[] {
  return [
    { caption: 'Rates', head: RATE_HEAD, rows: results.map(describeRate), left: 1 },
    { caption: 'Acknowledge latency', head: LATENCY_HEAD, rows: results.flatMap(describeLatencies), left: 3 }
  ]
}

import { describeRing, RING, RING_HEAD, type RingResult } from '../../ring.ts'
import { size } from '../../table.ts'
import { perSecondLabel } from '../labels.ts'
import { type Line, lineChart } from '../line-chart.ts'
import type { ChartedSuite } from '../section.ts'

const WAYS = [
  { name: 'tidemark', colour: 'tidemark' },
  { name: 'ringbuf.js', colour: 'ringbuf' },
  { name: 'postMessage', colour: 'postMessage' }
] as const

export const RING_SECTION: ChartedSuite<RingResult[]> = {
  suite: RING,
  section: (results) => {
    const lines = WAYS.map(({ name, colour }): Line => {
      const values = results.map(({ rates }) => rates.find((rate) => rate.name === name)?.median)
      return { name, colour, values }
    })
    const chart = lineChart({
      title: 'Through one ring',
      places: results.map(({ lengthBytes }) => ({ at: lengthBytes, label: size(lengthBytes) })),
      along: 'bytes of an update',
      up: 'updates/s',
      label: perSecondLabel,
      lines
    })
    const figures = { caption: 'Rates', head: RING_HEAD, rows: results.flatMap(describeRing), left: 2 }
    return { charts: [chart], figures: [figures] }
  }
}

/** Ratios as bars to both sides of 1: half as much is as long as twice as much. */
import { type Chart, draw, type LegendEntry, STILL, textStyle, ticksAt, WIDTH } from './chart.ts'
import { isOnLogScale, logScale } from './log-scale.ts'
import { drawn } from './palette.ts'

export interface Ratio {
  readonly name: string
  readonly ratio: number
  readonly wanted: number | undefined
}

const ROW_PIXELS = 30
const BAR_PIXELS = 12
const MARK_PIXELS = [3, 22]
const NAME_PIXELS = 120
/** The figure beside the end of a bar. */
const FIGURE_PIXELS = 36
const ABOVE_PIXELS = 4
const BELOW_PIXELS = 46

/** Which side of the mark is good. */
export type Wanted = 'at most' | 'at least'

function legendOf(wanted: Wanted): LegendEntry[] {
  return [
    { name: 'found', colour: 'tidemark' },
    { name: `wanted: ${wanted}`, colour: 'wanted' }
  ]
}

export function ratioBars(title: string, along: string, all: readonly Ratio[], wanted: Wanted): Chart {
  const ratios = all.filter(({ ratio }) => isOnLogScale(ratio))
  const { low, high, ticks } = logScale([1, ...ratios.flatMap(({ ratio, wanted }) => [ratio, wanted ?? 1])])
  const left = NAME_PIXELS + FIGURE_PIXELS
  const height = ratios.length * ROW_PIXELS
  const atTicks = ticksAt(ticks, String)
  const svg = draw(ABOVE_PIXELS + height + BELOW_PIXELS, {
    grid: { left, width: WIDTH - left - FIGURE_PIXELS, top: ABOVE_PIXELS, height, outerBoundsMode: 'none' },
    xAxis: {
      type: 'log',
      min: low,
      max: high,
      startValue: 1,
      name: along,
      nameLocation: 'middle',
      nameGap: 28,
      nameTextStyle: textStyle(),
      ...atTicks,
      splitLine: { show: true, lineStyle: { color: ticks.map((tick) => drawn(tick === 1 ? 'quiet' : 'line')) } }
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: ratios.map(({ name }) => name),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        ...textStyle('text'),
        interval: 0,
        width: NAME_PIXELS,
        margin: FIGURE_PIXELS,
        overflow: 'break',
        lineHeight: 13
      }
    },
    series: [
      {
        type: 'bar',
        barWidth: BAR_PIXELS,
        itemStyle: { color: drawn('tidemark') },
        data: ratios.map(({ ratio }) => ({
          value: ratio,
          label: {
            ...textStyle('text'),
            show: true,
            position: ratio < 1 ? 'left' : 'right',
            formatter: ratio.toFixed(2)
          }
        })),
        ...STILL
      },
      {
        type: 'scatter',
        symbol: 'rect',
        symbolSize: MARK_PIXELS,
        itemStyle: { color: drawn('wanted'), opacity: 1 },
        data: ratios.flatMap(({ wanted }, n) => (wanted === undefined ? [] : [[wanted, n]])),
        ...STILL
      }
    ]
  })
  return { title, legend: legendOf(wanted), svg }
}

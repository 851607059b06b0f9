/** Lines over a logarithmic height: what is compared here is told by ratios, and goes over several powers of ten. */
import type { XAXisComponentOption } from 'echarts'
import type { LineSeriesOption } from 'echarts/charts'
import { type Chart, draw, type LegendEntry, lineOf, STILL, textStyle, ticksAt } from './chart.ts'
import { isOnLogScale, logScale } from './log-scale.ts'
import { drawn } from './palette.ts'

export interface Line extends LegendEntry {
  /** One for each place. */
  readonly values: readonly (number | undefined)[]
}

export interface Place {
  /** On a logarithmic axis. */
  readonly at: number
  readonly label: string
}

export interface LineChart {
  readonly title: string
  /** Names alone are at equal distances. */
  readonly places: readonly Place[] | readonly string[]
  readonly along: string
  readonly up: string
  readonly label: (value: number) => string
  readonly lines: readonly Line[]
  /** Values of all charts that are compared with each other: their axes are the same. */
  readonly compared?: readonly number[]
}

const HEIGHT_PIXELS = 290
/** Around the plot: the names and labels of axes. */
const ROOM = { left: 56, right: 16, top: 28, bottom: 46 }
const NAME_GAP_PIXELS = { along: 28, up: 10 }
/** Points do not lie on the edges of a logarithmic axis. */
const EDGE = 1.3

export function lineChart({ title, places, along, up, label, lines, compared }: LineChart): Chart {
  const { low, high, ticks } = logScale(
    compared ?? lines.flatMap(({ values }) => values.filter((v) => v !== undefined))
  )
  const name = { nameTextStyle: textStyle() }
  const svg = draw(HEIGHT_PIXELS, {
    grid: { ...ROOM, outerBoundsMode: 'none' },
    xAxis: { ...alongAxis(places), ...name, name: along, nameLocation: 'middle', nameGap: NAME_GAP_PIXELS.along },
    yAxis: {
      type: 'log',
      min: low,
      max: high,
      axisLine: { show: false },
      ...name,
      name: up,
      nameGap: NAME_GAP_PIXELS.up,
      ...ticksAt(ticks, label)
    },
    series: lines.map((line) => series(line, places))
  })
  return { title, legend: lines, svg }
}

function alongAxis(places: LineChart['places']): XAXisComponentOption {
  const axisLine = lineOf('quiet')
  if (!isOnScale(places)) {
    const axisTick = lineOf('line')
    return { type: 'category', data: [...places], boundaryGap: false, axisLine, axisTick, axisLabel: textStyle() }
  }
  const at = places.map((place) => place.at)
  const label = (value: number): string => places.find((place) => place.at === value)?.label ?? ''
  const ticks = { ...ticksAt(at, label), splitLine: { show: false } }
  return { type: 'log', logBase: 2, min: Math.min(...at) / EDGE, max: Math.max(...at) * EDGE, axisLine, ...ticks }
}

function isOnScale(places: LineChart['places']): places is readonly Place[] {
  return typeof places[0] === 'object'
}

function series({ name, colour, isDashed = false, values }: Line, places: LineChart['places']): LineSeriesOption {
  const across = isOnScale(places) ? places.map(({ at }) => at) : [...places.keys()]
  return {
    type: 'line',
    name,
    data: across.flatMap((at, n) => {
      const value = values[n]
      return value !== undefined && isOnLogScale(value) ? [[at, value]] : []
    }),
    symbol: 'circle',
    symbolSize: 6,
    itemStyle: { color: drawn(colour) },
    lineStyle: { color: drawn(colour), width: 2, type: isDashed ? [5, 4] : 'solid' },
    ...STILL
  }
}

/** What all charts have in common: echarts draws them as SVG text, without a browser, so that the page needs no script. */
import {
  BarChart,
  type BarSeriesOption,
  LineChart,
  type LineSeriesOption,
  ScatterChart,
  type ScatterSeriesOption
} from 'echarts/charts'
import { GridComponent, type GridComponentOption } from 'echarts/components'
import { type ComposeOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { Markup } from './html.ts'
import { type Colour, drawn } from './palette.ts'

use([BarChart, LineChart, ScatterChart, GridComponent, SVGRenderer])

type ChartOption = ComposeOption<BarSeriesOption | LineSeriesOption | ScatterSeriesOption | GridComponentOption>

/** A chart as it stands on the page. */
export interface Chart {
  readonly title: string
  /** Outside of the drawing: there the browser breaks its lines, and it stays legible where the drawing gets smaller. */
  readonly legend: readonly LegendEntry[]
  readonly svg: Markup
}

export interface LegendEntry {
  readonly name: string
  readonly colour: Colour
  readonly isDashed?: boolean
}

/** That of a phone: wide screens scale a chart up a little, and have room for several, or for figures beside it. */
export const WIDTH = 400

const FONT_SIZE = 12

export function draw(heightPixels: number, option: ChartOption): Markup {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: heightPixels })
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: 'system-ui, sans-serif' }, ...option })
    return new Markup(chart.renderToSVGString())
  } finally {
    // Else its timers would keep the process.
    chart.dispose()
  }
}

/** Of every series: nothing happens under a mouse. */
export const STILL = { silent: true, emphasis: { disabled: true } } as const

export function textStyle(colour: Colour = 'quiet') {
  return { color: drawn(colour), fontSize: FONT_SIZE }
}

export function lineOf(colour: Colour) {
  return { lineStyle: { color: drawn(colour) } }
}

/** For an axis: lines and labels at these values, nowhere else. */
export function ticksAt(values: readonly number[], label: (value: number) => string) {
  const customValues = [...values]
  return {
    axisTick: { customValues, ...lineOf('line') },
    axisLabel: { ...textStyle(), customValues, formatter: label },
    splitLine: { show: true, ...lineOf('line') }
  }
}

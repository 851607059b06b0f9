import type { Suite } from '../suite.ts'
import type { Chart } from './chart.ts'

/** Exact figures: the first `left` columns are text. */
export interface Figures {
  readonly caption: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly left: number
  /** Lines beneath. */
  readonly notes?: readonly string[]
}

/** What the page shows of one suite. */
export interface Section {
  readonly charts: readonly Chart[]
  readonly figures: readonly Figures[]
  /** A line before all of it. */
  readonly note?: string
}

/** A suite that is shown with charts; others are shown as tables. */
export interface ChartedSuite<Result = unknown> {
  readonly suite: Suite<Result>
  section(result: Result): Section
}

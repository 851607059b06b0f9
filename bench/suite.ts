import type { Check } from './checks.ts'
import type { Pace } from './measure.ts'

/** What was asked for on the command line, for every suite. */
export interface SuiteSettings {
  readonly quick: boolean
  readonly pace: Pace
  /** Bytes of an update. */
  readonly sizes: readonly number[]
  /** Sizes of groups. */
  readonly components: readonly number[]
  print(text: string): void
}

/** What the project wants of a figure, beside what was measured. */
export interface Verdict {
  readonly what: string
  readonly found: string
  readonly wanted: string
  readonly isMet: boolean
}

/** Processor cores that other programs kept busy while something was measured: its figures are worse for it. */
export interface Disturbed {
  readonly otherCores: number
}

/** One benchmark: prints what it measures while it does, checks what it computes, and returns figures for the JSON file. */
export interface Suite<Result = unknown> {
  readonly name: string
  /** One line. */
  readonly about: string
  /** A drawing of who does what. */
  readonly topology: string
  run(settings: SuiteSettings): Promise<{ readonly result: Result; readonly checks: readonly Check[] }>
  disturbances(result: Result): readonly Disturbed[]
  verdicts(result: Result): readonly Verdict[]
}

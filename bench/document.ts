import type { Check } from './checks.ts'
import type { Pace } from './measure.ts'
import type { Verdict } from './suite.ts'

export interface Environment {
  /** When the run began, ISO 8601. */
  readonly date: string
  readonly node: string
  readonly platform: string
  readonly cores: number
  readonly cpu: string
  /** Of one minute, before it began. */
  readonly loadAverage: number | undefined
}

export interface SuiteVerdict extends Verdict {
  readonly suite: string
}

/** What is in the file of `--json` beside the results, which are there under the names of their suites. */
export interface BenchDocument {
  readonly environment: Environment
  /** Repeats it. */
  readonly command: string
  readonly pace: Pace
  readonly checks: readonly Check[]
  readonly verdicts: readonly SuiteVerdict[]
  /** All checks held. */
  readonly ok: boolean
}

import { build, type Histogram } from 'hdr-histogram-js'
import type { ViewReport } from '../src/index.ts'
import { KILLS, type Kill } from './kinds.ts'

const STEPS = ['detectedMs', 'reassignedMs', 'redundantMs'] as const
type Step = (typeof STEPS)[number]

/** A minute in microseconds: longer ones are counted as this. */
const LONGEST = 60e6

export interface TotalsRecord {
  readonly rounds: number
  readonly kills: Record<Kill, number>
  /** Kills of a component that had come to take over, before everything was redundant. */
  readonly killedAgain: number
  /** Kills while another component was down. */
  readonly killedTogether: number
  readonly views: number
  readonly takenForHung: number
  readonly secondaryKills: number
  /** Times for which the secondary stood still. */
  readonly stalls: number
  readonly spoolKills: number
  readonly joins: number
  readonly leaves: number
  /** Steps that were taken against memory running short. */
  readonly pressures: number
  readonly setsClosed: number
  readonly copiesChecked: number
  readonly setsRestored: number
  readonly updates: number
  readonly setsApplied: number
  readonly longestWaitMs: number
  readonly failover: Record<Step, { readonly p50: number; readonly p99: number; readonly max: number }>
}

/** What a chaos run has done so far. */
export class Totals {
  rounds = 0
  killedAgain = 0
  killedTogether = 0
  views = 0
  /** Components that were taken for hung; more than were made to hang is the machine's doing. */
  takenForHung = 0
  secondaryKills = 0
  stalls = 0
  spoolKills = 0
  joins = 0
  leaves = 0
  pressures = 0
  setsClosed = 0
  copiesChecked = 0
  setsRestored = 0
  updates = 0
  setsApplied = 0
  longestWaitMs = 0
  private readonly kills: Record<Kill, number> = { terminate: 0, exit: 0, throw: 0, hang: 0 }
  private readonly steps: Record<Step, Histogram>

  constructor() {
    const histogram = (): Histogram =>
      build({ lowestDiscernibleValue: 1, highestTrackableValue: LONGEST, numberOfSignificantValueDigits: 3 })
    this.steps = { detectedMs: histogram(), reassignedMs: histogram(), redundantMs: histogram() }
  }

  killed(how: Kill, report: ViewReport): void {
    this.kills[how]++
    for (const step of STEPS) this.steps[step].recordValue(Math.min(LONGEST, Math.round(report[step] * 1000)))
  }

  waited(longestMs: number): void {
    this.longestWaitMs = Math.max(this.longestWaitMs, longestMs)
  }

  read(): TotalsRecord {
    const { steps, kills, ...counts } = this
    const failover = Object.fromEntries(
      STEPS.map((step) => {
        const at = (percentile: number): number => steps[step].getValueAtPercentile(percentile) / 1000
        return [step, { p50: at(50), p99: at(99), max: at(100) }]
      })
    ) as TotalsRecord['failover']
    return { ...counts, kills: { ...kills }, failover }
  }
}

export function describeTotals(totals: TotalsRecord): string {
  const { kills, failover, longestWaitMs, ...counts } = totals
  const lines: [string, string][] = [
    ['kills', KILLS.map((how) => `${how} ${kills[how]}`).join(', ')],
    ...Object.entries(counts).map(([name, count]): [string, string] => [words(name), String(count)]),
    ...STEPS.map((step): [string, string] => {
      const { p50, p99, max } = failover[step]
      return [words(step), `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`]
    }),
    ['longest wait', `${longestWaitMs.toFixed(1)} ms`]
  ]
  return lines.map(([name, value]) => `  ${name.padEnd(16)} ${value}\n`).join('')
}

function words(name: string): string {
  return name.replace(/Ms$/, '').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

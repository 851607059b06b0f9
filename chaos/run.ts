import type { Kind } from './kinds.ts'
import { describePlan, drawPlan } from './plan.ts'
import { Round } from './round.ts'
import { Totals, type TotalsRecord } from './totals.ts'

const LOG_MS = 5000
/** Keeps seeds small enough to be drawn from and typed. */
const SEEDS = 2 ** 31

export interface ChaosOptions {
  /** Round n has the seed `seed` + n. */
  readonly seed: number
  /** No round begins after so long. */
  readonly seconds: number
  readonly rounds: number
  readonly kinds: readonly Kind[]
  /** Hears of each round as it begins. */
  readonly onRound?: (line: string) => void
}

export interface ChaosFailure {
  readonly seed: number
  readonly round: number
  readonly plan: string
  readonly message: string
  readonly stack: string | undefined
  /** The last seconds of the round. */
  readonly log: readonly string[]
  /** The command that begins with this round. */
  readonly repeat: string
}

export interface ChaosResult {
  readonly seed: number
  readonly seconds: number
  readonly totals: TotalsRecord
  readonly failure: ChaosFailure | undefined
}

/** Round after round until the time is over or something was not as it must be. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, seconds, rounds, kinds } = options
  const totals = new Totals()
  const began = performance.now()
  const elapsed = (): number => (performance.now() - began) / 1000
  let failure: ChaosFailure | undefined
  for (let n = 0; n < rounds && elapsed() < seconds && failure === undefined; n++) {
    const plan = drawPlan((seed + n) % SEEDS, kinds)
    options.onRound?.(`round ${n + 1}, seed ${plan.seed}: ${describePlan(plan)}`)
    const round = new Round(plan, totals)
    totals.rounds++
    try {
      await round.run()
    } catch (error) {
      failure = {
        seed: plan.seed,
        round: n + 1,
        plan: describePlan(plan),
        message: error instanceof Error ? error.message : String(error),
        stack: error instanceof Error ? error.stack : undefined,
        log: round.log.recent(LOG_MS),
        repeat: `npm run chaos -- --seed ${plan.seed} --rounds 1 --only ${kinds.join(',')}`
      }
    }
  }
  return { seed, seconds: elapsed(), totals: totals.read(), failure }
}

export function describeFailure(failure: ChaosFailure): string {
  const { seed, round, plan, message, stack, log, repeat } = failure
  return [
    `round ${round} with seed ${seed} failed: ${message}`,
    `  ${plan}`,
    `the last ${LOG_MS / 1000} seconds:`,
    ...log.map((line) => `  ${line}`),
    ...(stack === undefined ? [] : [stack]),
    `again: ${repeat}`,
    ''
  ].join('\n')
}

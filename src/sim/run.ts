import type { Variant } from './variants.ts'
import { type Coverage, World } from './world.ts'

export const DEFAULT_STEPS = 1500

export interface RunResult {
  readonly seed: number
  readonly steps: number
  readonly coverage: Coverage
  /** What went wrong, and the line that does it again. */
  readonly failure: { readonly message: string; readonly repeat: string; readonly error: unknown } | undefined
}

/** One seed, one world. */
export function runSeed(seed: number, steps = DEFAULT_STEPS, variant?: Variant): RunResult {
  const world = new World(seed, variant)
  let failure: RunResult['failure']
  try {
    world.run(steps)
  } catch (error) {
    const name = variant === undefined ? '' : ` --variant ${variant.name}`
    failure = {
      message: error instanceof Error ? error.message : String(error),
      repeat: `npm run sim -- --seed ${seed} --steps ${steps}${name}`,
      error
    }
  }
  return { seed, steps: world.steps, coverage: world.coverage(), failure }
}

export function addCoverage(sum: Coverage, one: Coverage): Coverage {
  return {
    updates: sum.updates + one.updates,
    transactions: sum.transactions + one.transactions,
    waits: sum.waits + one.waits,
    closedEarly: sum.closedEarly + one.closedEarly,
    idleSets: sum.idleSets + one.idleSets,
    sets: sum.sets + one.sets,
    severalMirrors: sum.severalMirrors + one.severalMirrors,
    nested: sum.nested + one.nested,
    deaths: sum.deaths + one.deaths,
    deathsInChange: sum.deathsInChange + one.deathsInChange,
    views: sum.views + one.views
  }
}

export const NO_COVERAGE: Coverage = {
  updates: 0,
  transactions: 0,
  waits: 0,
  closedEarly: 0,
  idleSets: 0,
  sets: 0,
  severalMirrors: 0,
  nested: 0,
  deaths: 0,
  deathsInChange: 0,
  views: 0
}

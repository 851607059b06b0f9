import type { Coverage } from './coverage.ts'
import type { Variant } from './variant.ts'
import { World } from './world.ts'

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
  const world = new World(seed, { variant })
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
  return { seed, steps: world.scheduler.steps, coverage: world.coverage, failure }
}

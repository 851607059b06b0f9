/**
 * Small groups without chance, a component killed at every single access to shared memory that one makes, and at pairs of them:
 * whatever there is to find between two accesses of these worlds is found. TIDEMARK_EXHAUSTIVE=all leaves out no pair.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { fixedScenario, type Scenario } from '../../src/sim/scenario.ts'
import type { ScriptedSource } from '../../src/sim/sim-source.ts'
import type { Variant } from '../../src/sim/variant.ts'
import { VARIANTS } from '../../src/sim/variants.ts'
import { World } from '../../src/sim/world.ts'

const LONGEST_MS = 7_200_000
const ALL = process.env.TIDEMARK_EXHAUSTIVE === 'all'
/** The second death comes within so many accesses of components after the first: the change of view is over by then. */
const WINDOW = 250
/** Of all pairs, one in so many is run: a prime, so that it falls in with nothing that repeats. */
const PAIR_STEP = ALL ? 1 : 31
const PAIR_STEP_OF_FOUR = ALL ? 1 : 67
/** And it begins with one in so many of the first deaths. */
const FIRST_STEP = 7

interface Case {
  readonly name: string
  readonly scenario: Scenario
  readonly scripts: readonly ScriptedSource[]
}

function writes(attached: number, ...volumes: number[]): ScriptedSource {
  // They overlap: an order that is not the source's shows.
  return { attached, writes: volumes.map((volume, n) => ({ volume, offset: n, text: `a${n}b${n}` })) }
}

function casesOf(members: number, mirrors: number, secondaryCounts: readonly number[] = [1, 2]): Case[] {
  return [1, 2].flatMap((volumes) =>
    (['spare', 'survivors'] as const).flatMap((takeover) =>
      secondaryCounts.map((secondaries) => ({
        name: `volumes ${volumes}, secondaries ${secondaries}, ${takeover}`,
        scenario: fixedScenario({
          members,
          slots: members + 1,
          mirrors,
          volumes,
          secondaries,
          takeover,
          sources: 2,
          periodMs: 5
        }),
        scripts: [writes(0, 0, volumes - 1), writes(1, 0)]
      }))
    )
  )
}

interface Run {
  /** The accesses that components made, by number. */
  readonly accesses: readonly number[]
  readonly isBeyond: boolean
  readonly isLost: boolean
  readonly deaths: number
}

/** Throws what is violated. */
function run({ scenario, scripts }: Case, killAt: readonly number[], variant?: Variant): Run {
  const world = new World(1, { scenario, scripts, killAt, variant })
  const { scheduler } = world
  const { onAccess } = scheduler
  const accesses: number[] = []
  scheduler.onAccess = (actor) => {
    if (actor.slot >= 0) accesses.push(scheduler.accesses)
    onAccess(actor)
  }
  try {
    world.run(0)
  } catch (error) {
    throw new Error(`killed at ${killAt.join(' and ')}: ${error instanceof Error ? error.message : error}`)
  }
  const { deaths, deathsBeyondMirrors } = world.coverage
  return { accesses, isBeyond: deathsBeyondMirrors > 0, isLost: world.loss !== undefined, deaths }
}

const counts = { singles: 0, pairs: 0, beyond: 0, lost: 0 }

function tally(outcome: Run, deaths: number): void {
  expect(outcome.deaths).toBe(deaths)
  if (outcome.isBeyond) counts.beyond++
  // The world itself sees to it that what is lost is lost indeed, and named.
  if (outcome.isLost) counts.lost++
  expect(outcome.isLost && !outcome.isBeyond).toBe(false)
}

function killEach(one: Case): void {
  for (const at of run(one, []).accesses) {
    tally(run(one, [at]), 1)
    counts.singles++
  }
}

function killPairs(one: Case, step: number): void {
  let pair = 0
  const firsts = run(one, []).accesses
  const firstStep = ALL ? 1 : FIRST_STEP
  for (let n = 0; n < firsts.length; n += firstStep) {
    const first = firsts[n] as number
    // After the first death the run is another one, so its accesses are.
    const later = run(one, [first]).accesses.filter((at) => at > first)
    for (const second of later.slice(0, WINDOW)) {
      if (pair++ % step !== 0) continue
      tally(run(one, [first, second]), 2)
      counts.pairs++
    }
  }
}

describe('three components, one mirror', () => {
  test.each(casesOf(3, 1))('$name: one death at each access', killEach, 120_000)
  test.each(casesOf(3, 1))(
    '$name: two deaths, the second during the change of view',
    (one) => killPairs(one, PAIR_STEP),
    LONGEST_MS
  )
})

describe('four components, two mirrors', () => {
  // How many secondary components there are matters to sets, and three components show that.
  const cases = casesOf(4, 2, ALL ? [1, 2] : [1])

  test.each(cases)('$name: one death at each access', killEach, 120_000)
  test.each(cases)('$name: two deaths', (one) => killPairs(one, PAIR_STEP_OF_FOUR), LONGEST_MS)
})

test('the same accesses each time: there is no chance in it', () => {
  const one = casesOf(3, 1)[0] as Case
  expect(run(one, [])).toEqual(run(one, []))
  const at = run(one, []).accesses[100] as number
  expect(run(one, [at])).toEqual(run(one, [at]))
})

test('a fault of the change of view is found by some of these deaths', () => {
  const one = casesOf(3, 1)[0] as Case
  const variant = VARIANTS.find(({ name }) => name === 'not-cut-back')
  const isCaught = (at: number): boolean => {
    try {
      run(one, [at], variant)
      return false
    } catch {
      return true
    }
  }
  expect(run(one, []).accesses.filter(isCaught).length).toBeGreaterThan(0)
})

afterAll(() => {
  process.stdout.write(
    `exhaustive: ${counts.singles} single deaths, ${counts.pairs} pairs, ` +
      `${counts.beyond} of them beyond the mirrors, ${counts.lost} with a loss that was named\n`
  )
})

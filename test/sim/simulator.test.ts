/** The simulator: seeds without a violation, broken variants caught, coverage, and the command. TIDEMARK_SEEDS for more seeds. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { addCoverage, type Coverage, emptyCoverage } from '../../src/sim/coverage.ts'
import { type RunResult, runSeed } from '../../src/sim/run.ts'
import type { Variant } from '../../src/sim/variant.ts'
import { VARIANTS } from '../../src/sim/variants.ts'

const SEEDS = Number(process.env.TIDEMARK_SEEDS ?? 2000)
const STEPS = 300

describe('the system as it is', () => {
  let coverage = emptyCoverage()
  /** In how many seeds it happened at all. */
  const seedsWith = new Map<string, number>()

  test(
    `${SEEDS} seeds of ${STEPS} steps: no invariant is violated, everything issued is applied in the end`,
    () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { failure, coverage: one } = runSeed(seed, STEPS)
        if (failure !== undefined) expect.fail(`seed ${seed}: ${failure.message}\n  again: ${failure.repeat}`)
        coverage = addCoverage(coverage, one)
        for (const [name, value] of Object.entries(one)) {
          if (value > 0) seedsWith.set(name, (seedsWith.get(name) ?? 0) + 1)
        }
      }
      expect(coverage.updates).toBeGreaterThan(SEEDS * 50)
    },
    120_000 + SEEDS * 20
  )

  /** Seeds in which a bug of the system was found. */
  test.each([
    [3153871, STEPS, 'a loss named volumes out of a ring that was used again'],
    [4157203, STEPS, 'a copy that a view moved was looked at after that view, by the checker'],
    [501785, STEPS, 'the spool died between removing a set and telling so'],
    [20049070, STEPS, 'the spool slept when its epoch changed, and a loss waited for it'],
    [
      20036738,
      STEPS,
      'a secondary component that had died was not started again in a suspended group, by the simulator'
    ],
    [2876, 1500, 'more sets had to be secured together than can be held, and no more could be closed'],
    [30046260, 1500, 'a set that the spool had was bound to the forming one, which was not closed for it'],
    [50048300, 1500, 'all memory was used, and what had to be taken before anything could be secured waited for ever']
  ])('seed %i of %i steps: %s', (seed, steps) => {
    expect(runSeed(seed, steps).failure).toBeUndefined()
  })

  test('the situations for which the rules exist are frequent', () => {
    const share = (name: string): number => (seedsWith.get(name) ?? 0) / SEEDS
    // Measured over 2,000 seeds: 4 % of updates waited, 15 % began a transaction, 12 % of sets were closed early, 19 % were idle.
    expect(coverage.waits / coverage.updates).toBeGreaterThan(0.015)
    expect(coverage.transactions / coverage.updates).toBeGreaterThan(0.1)
    expect(coverage.closedEarly / coverage.sets).toBeGreaterThan(0.04)
    expect(coverage.idleSets / coverage.sets).toBeGreaterThan(0.08)
    expect(coverage.sets).toBeGreaterThan(SEEDS * 3)
    expect(coverage.nested / SEEDS).toBeGreaterThan(500)
    // And not in a few worlds only.
    expect(share('transactions')).toBeGreaterThan(0.9)
    expect(share('waits')).toBeGreaterThan(0.5)
    expect(share('closedEarly')).toBeGreaterThan(0.1)
    expect(share('idleSets')).toBeGreaterThan(0.3)
  })

  // How often in 2,000 seeds when it was measured, and the least that it may become.
  test.each<[keyof Coverage, number, number]>([
    ['severalMirrors', 426, 250],
    ['threeMirrors', 168, 80],
    ['deaths', 2099, 1200],
    ['hung', 138, 60],
    ['resumed', 558, 250],
    ['deathsInChange', 743, 350],
    ['deathsWithFullMemory', 130, 50],
    ['deathsBeyondMirrors', 197, 80],
    ['losses', 44, 15],
    ['replaced', 660, 300],
    ['takenOver', 1813, 900],
    ['joins', 1821, 900],
    ['leaves', 375, 180],
    ['secondaryDeaths', 259, 120],
    ['refetched', 1500, 500],
    ['merged', 200, 80],
    ['leftOut', 60000, 20000],
    ['named', 268, 120],
    ['namedIdle', 40, 15],
    ['views', 3062, 1800],
    ['kept', 577, 250],
    ['unspooled', 609, 250],
    ['givenUp', 229, 90],
    ['overlapped', 153, 60],
    ['spoolDeaths', 147, 60],
    ['deathsWhileSpooling', 121, 50],
    ['secondaryDeathsWhileSpooling', 53, 20],
    ['viewsWhileSpooling', 255, 100],
    ['stalls', 1979, 900],
    ['fullDisks', 235, 100]
  ])('%s are frequent: %d when measured, at least %d in 2,000 seeds', (name, _measured, least) => {
    expect(coverage[name]).toBeGreaterThan((least * SEEDS) / 2000)
  })

  test('a seed is the same run each time, and another seed another one', () => {
    const runs = [1, 1, 2].map((seed) => runSeed(seed, STEPS))
    expect(runs[1]).toEqual(runs[0])
    expect(runs[2]?.coverage).not.toEqual(runs[0]?.coverage)
  })
})

interface Catch {
  /** The first seed in which it is, when it was looked for last; that one is run first. */
  readonly seed: number
  readonly by: RegExp
  readonly steps?: number
}

/**
 * What each of them has to be caught by. Chunks without a place are found by the places themselves or by what they destroy, and
 * so is what one does that should have been ended, or have stopped.
 */
const CAUGHT_BY: Readonly<Record<string, Catch>> = {
  // It needs a long pause at the right place: longer runs find it in far fewer seeds.
  'set-before-position': { seed: 6, by: /^I3: .* issued after one of set/, steps: 1500 },
  'acknowledged-early': { seed: 1, by: /^I1: .* is acknowledged but held by/ },
  'out-of-sequence': { seed: 1, by: /^I2: volume \d+ differs from the model/ },
  'credits-without-place': { seed: 2, by: /not granted|is not where it was noted|^I[124]: / },
  'counted-twice': { seed: 2, by: /^I1: nothing is lost, but .* is not conserved/ },
  'discarded-early': { seed: 1, by: /^I1: .* discards an unsecured update/ },
  'left-out-wrongly': { seed: 2, by: /^I2: the journal of set \d+ lacks an update/ },
  'part-applied-twice': {
    seed: 52,
    by: /^I4: a part of set \d+ was journaled twice|^a part of set \d+ was sent while/
  },
  'no-freeze': { seed: 10, by: /^I7: a link was restarted under|^I1: a loss of|^I4: .* twice/ },
  'marks-not-awaited': { seed: 8, by: /^I1: (a loss of|lost though|.* is acknowledged but held by)/ },
  'end-not-awaited': { seed: 42, by: /^I1: nothing is lost, but .* is not conserved|^I4: .* twice/ },
  'rebuilt-not-awaited': { seed: 1, by: /^I7: a link was restarted under|not granted/ },
  'numbering-early': { seed: 1, by: /^I1: (nothing is lost, but .* is not conserved|.* is acknowledged but held by)/ },
  'not-cut-back': { seed: 1, by: /^I1: nothing is lost, but .* is not conserved|^I4: .* was not cut back/ },
  'not-rewound': { seed: 5, by: /^I6: no end after/ },
  'restore-left-out': {
    seed: 1,
    by: /^I1: (nothing is lost, but .* is not conserved|.* is acknowledged but held by)/
  },
  'holders-of-older-view': {
    seed: 1,
    by: /^I1: (nothing is lost, but .* is not conserved|.* is acknowledged but held by)/
  },
  'not-kept': { seed: 8, by: /^I4: component \d+ holds update \S+ twice/ },
  'moved-kept-too-early': {
    seed: 1,
    by: /^I1: (nothing is lost, but .* is not conserved|.* is acknowledged but held by)/
  },
  'join-mirrors-nothing': { seed: 5, by: /^I1: .* is acknowledged but held by/ },
  'not-merged': { seed: 13, by: /^I2: volume \d+ differs from the model/ },
  'bound-too-early': { seed: 31, by: /^I2: volume \d+ differs from the model/ },
  'kept-too-early': { seed: 17, by: /^I1: .* discards an unsecured update/ },
  'spool-overtaken': { seed: 38, by: /^I2: set \d+ was committed with parts missing/ },
  'transfer-not-given-up': { seed: 66, by: /^I[24]: update \S+ is (not one of|twice in) set/ },
  'epoch-not-looked-at': { seed: 66, by: /^I2: update \S+ is not one of set/ },
  'earlier-not-sent-again': { seed: 725, by: /^I2: set \d+ was committed with parts missing/ },
  'later-not-sent-again': { seed: 107, by: /^I6: no end after/ },
  'received-not-awaited': {
    seed: 145,
    by: /^I2: set \d+ was committed with parts missing|^a part of set \d+ was sent while/
  },
  'late-publication': { seed: 8, by: /^I4: component \d+ holds update \S+ twice|^I1: .* is not conserved/ }
}
const WITHIN = 5000

/** The recorded seed, and where the schedules have changed since, the first one. */
function firstCatch(variant: Variant, { seed: recorded, by, steps = STEPS }: Catch): RunResult | undefined {
  const again = runSeed(recorded, steps, variant)
  if (by.test(again.failure?.message ?? '')) return again
  for (let seed = 1; seed <= WITHIN; seed++) {
    const result = runSeed(seed, steps, variant)
    if (!by.test(result.failure?.message ?? '')) continue
    process.stdout.write(`${variant.name} is caught in seed ${seed} now, no more in seed ${recorded}\n`)
    return result
  }
  return undefined
}

/** Runs the command as `npm run sim -- ...` does. */
function sim(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const main = fileURLToPath(new URL('../../src/sim/main.ts', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, err] = ['', '']
    child.stdout.on('data', (data) => {
      out += data
    })
    child.stderr.on('data', (data) => {
      err += data
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
  })
}

describe('deliberately broken variants', () => {
  test('each is known here', () => {
    expect(VARIANTS.map((variant) => variant.name).sort()).toEqual(Object.keys(CAUGHT_BY).sort())
  })

  test.each(VARIANTS)(
    `$name is caught within ${WITHIN} seeds by the right invariant, and again by the line that it prints`,
    async (variant) => {
      const known = CAUGHT_BY[variant.name] as Catch
      const { steps = STEPS } = known
      const caught = firstCatch(variant, known)
      const failure = caught?.failure
      expect(failure?.message).toMatch(known.by)
      const repeat = /^npm run sim -- (--seed (\d+) --steps (\d+) --variant (\S+))$/.exec(failure?.repeat ?? '')
      const [, args, seed, again, name] = repeat ?? []
      expect([Number(seed), Number(again), name]).toEqual([caught?.seed, steps, variant.name])
      expect(runSeed(Number(seed), Number(again), variant).failure?.message).toBe(failure?.message)
      // Without the fault the same seed is fine.
      expect(runSeed(Number(seed), Number(again)).failure).toBeUndefined()
      const { code, out } = await sim(...(args ?? '').split(' '))
      expect(code).toBe(1)
      expect(out).toContain(`seed ${seed}: ${failure?.message}\n  again: ${failure?.repeat}\n`)
      expect(out).toContain('1 seeds, 1 failed')
    },
    240_000
  )
})

describe('the command', () => {
  test('exits 0 when nothing is violated, and prints the coverage counters', async () => {
    const { code, out, err } = await sim('--seed', '7', '--steps', '200')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('1 seeds, 0 failed')
    const { coverage } = runSeed(7, 200)
    for (const [name, value] of Object.entries(coverage)) expect(out).toMatch(new RegExp(`^  ${name} +${value}$`, 'm'))
  })

  test('several seeds from a first one on', async () => {
    const { code, out } = await sim('--seed', '40', '--seeds', '3', '--steps', '100')
    expect(code).toBe(0)
    expect(out).toContain('3 seeds, 0 failed')
    const updates = [40, 41, 42].reduce((sum, seed) => sum + runSeed(seed, 100).coverage.updates, 0)
    expect(out).toMatch(new RegExp(`^  updates +${updates}$`, 'm'))
  })

  test('--help', async () => {
    const { code, out } = await sim('--help')
    expect(code).toBe(0)
    for (const { name } of VARIANTS) expect(out).toContain(name)
  })

  async function expectUsage(args: string): Promise<void> {
    const { code, out, err } = await sim(...args.split(' '))
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('npm run sim -- ')
  }

  test.each([
    '--seed x',
    '--seed 1.5',
    '--steps=-1',
    '--seeds 1e400',
    '--variant none',
    '--seed ',
    '--seed',
    '--steps -1',
    '--nonsense',
    'stray'
  ])('bad arguments exit 2 with the usage: %s', expectUsage)
})

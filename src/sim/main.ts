import { parseArgs } from 'node:util'
import { addCoverage, emptyCoverage } from './coverage.ts'
import { DEFAULT_STEPS, runSeed } from './run.ts'
import { VARIANTS } from './variants.ts'

const USAGE = `npm run sim -- [--seed N] [--seeds COUNT] [--steps M] [--variant NAME]

Runs seeded schedules of a whole group in one thread and checks the invariants at every step.
  --seed N        the first seed (default 1); alone, only that one runs
  --seeds COUNT   how many seeds (default 1000 without --seed)
  --steps M       turns before the world is left to settle (default ${DEFAULT_STEPS})
  --variant NAME  a deliberately broken system: ${VARIANTS.map((variant) => variant.name).join(', ')}
`

const PROGRESS_MS = 10_000

const OPTIONS = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  steps: { type: 'string' },
  variant: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

/** Undefined when they cannot be understood. */
function readArguments() {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch {
    return undefined
  }
}

/** A whole number of at least 0; NaN for anything else, an empty text too. */
function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}

function main(): number {
  const values = readArguments()
  if (values === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const first = wholeNumber(values.seed ?? '1')
  const count = wholeNumber(values.seeds ?? (values.seed === undefined ? '1000' : '1'))
  const steps = wholeNumber(values.steps ?? String(DEFAULT_STEPS))
  const variant = VARIANTS.find((candidate) => candidate.name === values.variant)
  const known = values.variant === undefined || variant !== undefined
  if (!known || ![first, count, steps].every((value) => Number.isSafeInteger(value) && value >= 0)) {
    process.stderr.write(USAGE)
    return 2
  }
  const began = performance.now()
  let coverage = emptyCoverage()
  let failures = 0
  let ran = 0
  let toldAt = began
  for (let seed = first; seed < first + count; seed++) {
    const result = runSeed(seed, steps, variant)
    ran++
    if (performance.now() - toldAt > PROGRESS_MS) {
      toldAt = performance.now()
      process.stderr.write(`${ran} of ${count} seeds, ${failures} failed\n`)
    }
    coverage = addCoverage(coverage, result.coverage)
    if (result.failure === undefined) continue
    failures++
    process.stdout.write(`seed ${seed}: ${result.failure.message}\n  again: ${result.failure.repeat}\n`)
    if (failures >= 10) break
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  process.stdout.write(`${ran} seeds, ${failures} failed, ${seconds} s\n`)
  for (const [name, value] of Object.entries(coverage)) process.stdout.write(`  ${name.padEnd(16)} ${value}\n`)
  return failures === 0 ? 0 : 1
}

// Whoever reads only the beginning has read enough.
process.stdout.on('error', () => process.exit())
process.exitCode = main()

/**
 * npm run bench -- [SUITE ..] [--quick] [--sizes 64,512] [--components 2,4] [--json FILE]
 */
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import { parseArgs, styleText } from 'node:util'
import { type Check, isHeld } from './checks.ts'
import type { BenchDocument, Environment, SuiteVerdict } from './document.ts'
import { FULL, QUICK } from './measure.ts'
import type { Suite } from './suite.ts'
import { SUITES } from './suites.ts'

const HELP = `npm run bench -- [SUITE ..] [options]

${SUITES.map(({ name, about }) => `  ${name.padEnd(11)} ${about}`).join('\n')}
  Without any: all of them.

  --quick              a few minutes in all, for a look; figures are rough
  --sizes 64,512       ring, group, latency: bytes of an update, powers of two from 8 to 65536 (default 64,512,4096);
                       peers: 64 and 4096 of these
  --components 2,4     group: sizes of the group, 2 to 64 (default 2,4,8)
  --json FILE          writes everything that was measured and checked
  --help               this

Exits 1 when a check of what was computed fails, 2 for a wrong argument; being slow is no failure.
`

const DISTURBING_CORES = 0.3

interface Settings {
  readonly suites: readonly Suite[]
  readonly quick: boolean
  readonly sizes: readonly number[]
  readonly components: readonly number[]
  readonly json: string | undefined
}

class UsageError extends Error {}

function readSettings(args: string[]): Settings | 'help' {
  const { values, positionals } = parse(args)
  if (values.help === true) return 'help'
  for (const name of positionals) {
    if (!SUITES.some((suite) => suite.name === name)) throw new UsageError(`there is no benchmark '${name}'`)
  }
  const sizes = numbers('--sizes', values.sizes, 8, 65536)
  if (sizes.some((bytes) => (bytes & (bytes - 1)) !== 0)) throw new UsageError('--sizes must be powers of two')
  return {
    suites: positionals.length === 0 ? SUITES : SUITES.filter((suite) => positionals.includes(suite.name)),
    quick: values.quick === true,
    sizes,
    components: numbers('--components', values.components, 2, 64),
    json: values.json
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        quick: { type: 'boolean' },
        sizes: { type: 'string', default: '64,512,4096' },
        components: { type: 'string', default: '2,4,8' },
        json: { type: 'string' },
        help: { type: 'boolean' }
      }
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function numbers(option: string, text: string, low: number, high: number): number[] {
  const found = text.split(',').map(Number)
  if (found.every((value) => Number.isInteger(value) && value >= low && value <= high)) return found
  throw new UsageError(`${option} must be whole numbers from ${low} to ${high}, separated by commas`)
}

function print(text: string): void {
  process.stdout.write(text)
}

function bold(text: string): string {
  // Plain where the output is no terminal or NO_COLOR is set.
  return styleText('bold', text, { stream: process.stdout })
}

async function run(settings: Settings, command: string): Promise<number> {
  const pace = settings.quick ? QUICK : FULL
  const environment: Environment = {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cores: os.availableParallelism(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    loadAverage: os.loadavg()[0]
  }
  print(`Node.js ${environment.node}, ${environment.cores} cores, ${environment.cpu}, ${environment.platform}\n`)
  print(`${environment.date}, load average ${environment.loadAverage?.toFixed(1)} before it began\n`)
  print(`again: ${command}\n`)
  const { rounds, samples, sampleMs } = pace
  print(
    `rates: medians of ${rounds} rounds x ${samples} samples of ${sampleMs} ms; contestants take turns each round\n`
  )
  const began = performance.now()
  const checks: Check[] = []
  const verdicts: SuiteVerdict[] = []
  const results: Record<string, unknown> = {}
  let mostDisturbed = 0
  for (const suite of settings.suites) {
    print(`\n${bold(suite.name)}\n${suite.topology}\n`)
    const { quick, sizes, components } = settings
    const measured = await suite.run({ quick, pace, sizes, components, print })
    results[suite.name] = measured.result
    checks.push(...measured.checks)
    print('\n')
    for (const verdict of suite.verdicts(measured.result)) {
      const { what, found, wanted, isMet } = verdict
      print(`${what}: ${found} (wanted: ${wanted}) ${bold(isMet ? 'PASS' : 'missed')}\n`)
      verdicts.push({ suite: suite.name, ...verdict })
    }
    const disturbances = suite.disturbances(measured.result).map(({ otherCores }) => otherCores)
    mostDisturbed = Math.max(mostDisturbed, ...disturbances)
  }
  printDisturbance(mostDisturbed)
  const broken = checks.filter((check) => !isHeld(check))
  for (const { name, expected, found } of broken) print(`${bold('WRONG')} ${name}: ${found} instead of ${expected}\n`)
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  print(`\n${checks.length - broken.length} of ${checks.length} checks of what was computed held; ${seconds} s\n`)
  if (settings.json !== undefined) {
    const document: BenchDocument = { environment, command, pace, checks, verdicts, ok: broken.length === 0 }
    await writeFile(settings.json, `${JSON.stringify({ ...document, ...results }, null, 2)}\n`)
  }
  return broken.length === 0 ? 0 : 1
}

/** Two busy threads lose less to other programs than the many of a group: a ratio means something on a quiet machine only. */
function printDisturbance(mostCores: number): void {
  if (mostCores < DISTURBING_CORES) return
  print(
    `\nother programs kept up to ${mostCores.toFixed(1)} cores busy meanwhile: rates and ratios are lower, times longer than they would be\n`
  )
}

const args = process.argv.slice(2)
try {
  const settings = readSettings(args)
  if (settings === 'help') print(HELP)
  else process.exitCode = await run(settings, ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' '))
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`bench: ${error.message}\n\n${HELP}`)
    process.exitCode = 2
  } else {
    process.stderr.write(`bench: ${(error as Error).stack}\n`)
    // A thread may hang: it would keep the process.
    process.exit(1)
  }
}

/**
 * npm run bench -- [ring] [group] [failover] [--quick] [--sizes 64,512] [--components 2,4] [--json FILE]
 */
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import { parseArgs, styleText } from 'node:util'
import { type Check, isHeld } from './checks.ts'
import { benchFailover, FAILOVER_TOPOLOGY, type FailoverResult, failoverVerdicts } from './failover.ts'
import { benchGroup, GROUP_TOPOLOGY, type GroupResult, WANTED } from './group.ts'
import { FULL, QUICK } from './measure.ts'
import { benchRing, RING_TOPOLOGY, type RingResult } from './ring.ts'
import { size } from './table.ts'

const HELP = `npm run bench -- [ring] [group] [failover] [options]

  ring      one source's ring between two threads, beside ringbuf.js and postMessage
  group     a whole group with two sources on threads of their own, beside postMessage
  failover  components of a group are killed under load: until redundant again, and how long sources wait
  Without any: all of them.

  --quick              about a minute in all, for a look; figures are rough
  --sizes 64,512       ring, group: bytes of an update, powers of two from 8 to 65536 (default 64,512,4096)
  --components 2,4     group: sizes of the group, 2 to 64 (default 2,4,8)
  --json FILE          writes everything that was measured and checked
  --help               this

Exits 1 when a check of what was computed fails, 2 for a wrong argument; being slow is no failure.
`

const DISTURBING_CORES = 0.3

const SUITES = ['ring', 'group', 'failover'] as const
type Suite = (typeof SUITES)[number]

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
    if (!SUITES.some((suite) => suite === name)) throw new UsageError(`there is no benchmark '${name}'`)
  }
  const sizes = numbers('--sizes', values.sizes, 8, 65536)
  if (sizes.some((bytes) => (bytes & (bytes - 1)) !== 0)) throw new UsageError('--sizes must be powers of two')
  return {
    suites: positionals.length === 0 ? SUITES : SUITES.filter((suite) => positionals.includes(suite)),
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
  const environment = {
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
  if (settings.suites.includes('ring') || settings.suites.includes('group')) {
    const { rounds, samples, sampleMs } = pace
    print(`medians of ${rounds} rounds x ${samples} samples of ${sampleMs} ms; contestants take turns each round\n`)
  }
  const began = performance.now()
  const checks: Check[] = []
  let ring: RingResult[] | undefined
  let group: GroupResult[] | undefined
  let failover: FailoverResult | undefined
  if (settings.suites.includes('ring')) {
    print(`\n${bold('ring')}\n${RING_TOPOLOGY}\n`)
    const measured = await benchRing(settings.sizes, pace, print)
    ring = measured.results
    checks.push(...measured.checks)
  }
  if (settings.suites.includes('group')) {
    print(`\n${bold('group')}\n${GROUP_TOPOLOGY}\n`)
    const measured = await benchGroup(settings.sizes, settings.components, pace, print)
    group = measured.results
    checks.push(...measured.checks)
    printWanted(group)
  }
  if (settings.suites.includes('failover')) {
    print(`\n${bold('failover')}\n${FAILOVER_TOPOLOGY}`)
    const measured = await benchFailover(settings.quick, print)
    failover = measured.result
    checks.push(...measured.checks)
    printVerdicts(failover)
  }
  printDisturbance(ring, group, failover)
  const broken = checks.filter((check) => !isHeld(check))
  for (const { name, expected, found } of broken) print(`${bold('WRONG')} ${name}: ${found} instead of ${expected}\n`)
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  print(`\n${checks.length - broken.length} of ${checks.length} checks of what was computed held; ${seconds} s\n`)
  if (settings.json !== undefined) {
    const document = { environment, command, pace, ring, group, failover, checks, ok: broken.length === 0 }
    await writeFile(settings.json, `${JSON.stringify(document, null, 2)}\n`)
  }
  return broken.length === 0 ? 0 : 1
}

/** Two busy threads lose less to other programs than the many of a group: a ratio means something on a quiet machine only. */
function printDisturbance(
  ring: readonly RingResult[] = [],
  group: readonly GroupResult[] = [],
  failover?: FailoverResult
): void {
  const usages = [
    ...ring.flatMap((result) => result.rates),
    ...group.map((result) => result.rate),
    ...(failover?.kills ?? [])
  ]
  const most = Math.max(...usages.map((usage) => usage.otherCores))
  if (most < DISTURBING_CORES) return
  print(
    `\nother programs kept up to ${most.toFixed(1)} cores busy meanwhile: rates and ratios are lower, times longer than they would be\n`
  )
}

function printWanted(group: readonly GroupResult[]): void {
  const { lengthBytes, components, ratio } = WANTED
  const found = group.find((result) => result.lengthBytes === lengthBytes && result.components === components)
  if (found === undefined) return
  const verdict = found.rate.ratio >= ratio ? 'PASS' : 'short'
  const what = `${size(lengthBytes)}, ${components} components`
  print(`\n${what}: ${found.rate.ratio.toFixed(1)} times postMessage (wanted: ${ratio}) ${bold(verdict)}\n`)
}

function printVerdicts(failover: FailoverResult): void {
  print('\n')
  for (const { what, found, wanted, isMet } of failoverVerdicts(failover)) {
    print(`${what}: ${found} (wanted: ${wanted}) ${bold(isMet ? 'PASS' : 'missed')}\n`)
  }
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

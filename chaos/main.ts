import { parseArgs } from 'node:util'
import { KIND_HELP, KINDS, type Kind } from './kinds.ts'
import { type ChaosOptions, describeFailure, runChaos } from './run.ts'
import { describeTotals } from './totals.ts'

const USAGE = `npm run chaos -- [--minutes N | --seconds N] [--seed N] [--rounds N] [--only KIND,KIND] [--json]

Groups on real threads under load, whose components are made to fail, join and leave, round after round; what was
acknowledged is compared with the secondary files by a model of its own.
  --seconds N     no round begins after so long (default 60)
  --minutes N     the same in minutes
  --seed N        of the first round, the next ones follow (default: another one each time). It decides options and
                  load, not how the machine schedules threads: what fails once may need several tries to fail again
  --rounds N      at most so many
  --only KINDS    havoc of these kinds only (default: all of them):
${KINDS.map((kind) => `                    ${kind.padEnd(11)} ${KIND_HELP[kind]}`).join('\n')}
  --json          one JSON document on stdout
  --help          this

Exits 1 when something was not as it must be, 2 for a wrong argument.
`

class UsageError extends Error {}

interface Settings {
  readonly options: ChaosOptions
  readonly json: boolean
}

function readSettings(args: string[]): Settings | 'help' {
  const { seconds, minutes, seed, rounds, only, json = false, help } = parse(args)
  if (help === true) return 'help'
  if (seconds !== undefined && minutes !== undefined) throw new UsageError('either --seconds or --minutes')
  const wanted = minutes === undefined ? number('--seconds', seconds ?? '60') : number('--minutes', minutes) * 60
  return {
    options: {
      seed: seed === undefined ? Math.floor(Math.random() * 1e9) : whole('--seed', seed, 0),
      // Alone, a number of rounds is all of them.
      seconds:
        rounds !== undefined && seconds === undefined && minutes === undefined ? Number.POSITIVE_INFINITY : wanted,
      rounds: rounds === undefined ? Number.POSITIVE_INFINITY : whole('--rounds', rounds, 1),
      kinds: only === undefined ? KINDS : kindsOf(only)
    },
    json
  }
}

function parse(args: string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args,
      options: {
        seconds: text,
        minutes: text,
        seed: text,
        rounds: text,
        only: text,
        json: flag,
        help: { type: 'boolean', short: 'h' }
      }
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function number(option: string, text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text) || Number(text) <= 0) throw new UsageError(`${option} must be a number above 0`)
  return Number(text)
}

function whole(option: string, text: string, low: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= low && value < 2 ** 31)) throw new UsageError(`${option} must be a whole number from ${low} on`)
  return value
}

function kindsOf(text: string): Kind[] {
  return text.split(',').map((name) => {
    const kind = KINDS.find((known) => known === name)
    if (kind === undefined) throw new UsageError(`there is no havoc '${name}'`)
    return kind
  })
}

async function main(): Promise<number> {
  let settings: Settings | 'help'
  try {
    settings = readSettings(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    return 2
  }
  if (settings === 'help') {
    process.stdout.write(USAGE)
    return 0
  }
  const { options, json } = settings
  const say = (text: string): void => void (json ? process.stderr : process.stdout).write(text)
  const result = await runChaos({ ...options, onRound: (line) => say(`${line}\n`) })
  const { failure, totals, seed, seconds } = result
  if (failure !== undefined) say(describeFailure(failure))
  if (json) process.stdout.write(`${JSON.stringify({ ok: failure === undefined, ...result }, null, 2)}\n`)
  else
    say(
      `seed ${seed}, ${seconds.toFixed(1)} s, ${failure === undefined ? 'all as it must be' : 'FAILED'}\n${describeTotals(totals)}`
    )
  return failure === undefined ? 0 : 1
}

process.exitCode = await main()
// A group that failed may have threads that do not end.
if (process.exitCode === 1) setTimeout(() => process.exit(), 1000).unref()

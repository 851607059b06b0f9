import { parseArgs } from 'node:util'
import { TidemarkError } from '../index.ts'
import { DEMO_USAGE, demo } from './demo.ts'
import { EXIT_DONE, EXIT_USAGE, exitCodeOf, UsageError } from './exit-codes.ts'
import { INSPECT_USAGE, inspect } from './inspect.ts'
import { RECOVER_USAGE, recover } from './recover.ts'
import { parseSet, parseTime, RESTORE_USAGE, restore } from './restore.ts'
import { VERIFY_USAGE, verify } from './verify.ts'

const USAGE = `tidemark COMMAND [options]

  demo [FILE...]   replicate real files while components are killed, and compare the copies
  inspect DIR      a secondary directory, without changing it
  recover DIR      finishes what a crash left in it
  restore DIR      copies of all its volumes as of a kept set
  verify DIR       compares its journal and volumes with their checksums

Each command has --help and --json. Not there yet: serve, receive, status.
`

const NOT_YET = ['serve', 'receive', 'status']

/** Runs a command. Returns the exit code; data goes to stdout, messages to stderr. */
export async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  try {
    switch (command) {
      case 'demo':
        return await runDemo(rest)
      case 'inspect':
        return await runInspect(rest)
      case 'restore':
        return await runRestore(rest)
      case 'recover':
        return await runRecover(rest)
      case 'verify':
        return await runVerify(rest)
      case undefined:
        process.stderr.write(USAGE)
        return EXIT_USAGE
      case 'help':
      case '--help':
      case '-h':
        process.stdout.write(USAGE)
        return EXIT_DONE
      default:
        throw new UsageError(
          NOT_YET.includes(command) ? `'${command}' is not there yet in this version` : `unknown command '${command}'`
        )
    }
  } catch (error) {
    process.stderr.write(`tidemark: ${messageOf(error)}\n`)
    if (error instanceof UsageError) process.stderr.write("See 'tidemark --help'.\n")
    return exitCodeOf(error)
  }
}

async function runDemo(args: string[]): Promise<number> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      components: { type: 'string' },
      directory: { type: 'string' },
      'no-fail': { type: 'boolean' },
      'drain-timeout': { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help === true) return print(DEMO_USAGE)
  return demo({
    files: positionals,
    components: wholeNumber('--components', values.components, 4),
    directory: values.directory,
    fail: values['no-fail'] !== true,
    drainTimeoutMs: duration('--drain-timeout', values['drain-timeout']),
    json: values.json === true
  })
}

async function runInspect(args: string[]): Promise<number> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
  })
  if (values.help === true) return print(INSPECT_USAGE)
  return inspect(oneDirectory('inspect', positionals), values.json === true)
}

async function runRecover(args: string[]): Promise<number> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      'force-unlock': { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help === true) return print(RECOVER_USAGE)
  const forceUnlock = values['force-unlock'] === true
  return recover(oneDirectory('recover', positionals), { forceUnlock, json: values.json === true })
}

async function runVerify(args: string[]): Promise<number> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
  })
  if (values.help === true) return print(VERIFY_USAGE)
  return verify(oneDirectory('verify', positionals), values.json === true)
}

function oneDirectory(command: string, positionals: readonly string[]): string {
  const [directory, ...more] = positionals
  if (directory === undefined || more.length > 0) throw new UsageError(`${command} takes one directory`)
  return directory
}

async function runRestore(args: string[]): Promise<number> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      to: { type: 'string' },
      set: { type: 'string' },
      time: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help === true) return print(RESTORE_USAGE)
  const directory = oneDirectory('restore', positionals)
  if (values.to === undefined) throw new UsageError('restore needs --to OUT')
  if (values.set !== undefined && values.time !== undefined)
    throw new UsageError('restore takes --set or --time, not both')
  const set = values.set === undefined ? undefined : parseSet(values.set)
  const time = values.time === undefined ? undefined : parseTime(values.time)
  return restore({ directory, to: values.to, set, time, json: values.json === true })
}

/** parseArgs, whose complaints are usage errors. */
const parse: typeof parseArgs = (config) => {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT_DONE
}

function wholeNumber(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (!/^\d+$/.test(text)) throw new UsageError(`${option} takes a whole number, not '${text}'`)
  return Number(text)
}

const UNITS_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3600_000 }

/** 500ms, 5s, 10m, 1h */
function duration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, amount, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? []
  if (amount === undefined || unit === undefined) {
    throw new UsageError(`${option} takes a time such as 500ms, 5s, 10m or 1h, not '${text}'`)
  }
  return Number(amount) * (UNITS_MS[unit] as number)
}

function messageOf(error: unknown): string {
  if (error instanceof TidemarkError) return `${error.message} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}

import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The file of a thread beside this one: `.ts` when run from sources, `.js` as published. */
export function threadFile(name: string): string {
  const here = fileURLToPath(import.meta.url)
  return path.join(path.dirname(here), name + path.extname(here))
}

/** Arguments that give the process a script. Of these `--input-type` alone makes every thread with a file fail. */
const SCRIPTS = ['-e', '--eval', '-p', '--print', '-pe', '--input-type']
/** Arguments that say how modules are loaded, or what is warned of. */
const WITH_VALUE = [
  '--import',
  '-r',
  '--require',
  '--loader',
  '--experimental-loader',
  '-C',
  '--conditions',
  '--disable-warning'
]
const WITHOUT = ['--no-warnings', '--enable-source-maps']

/**
 * What a thread is to be started with: undefined, to inherit the process's arguments; or, where one of those gives the
 * process its script, the ones that say how modules are loaded. Those of the engine cannot be said again to a thread
 * (`--trace-gc`, `--max-old-space-size`), and need not: they hold for the process.
 */
export function threadArguments(args: readonly string[] = process.execArgv): string[] | undefined {
  const nameOf = (argument: string): string => argument.split('=', 1)[0] as string
  if (!args.some((argument) => SCRIPTS.includes(nameOf(argument)))) return undefined
  const kept: string[] = []
  for (const [n, argument] of args.entries()) {
    const isWhole = argument.includes('=')
    if (WITHOUT.includes(argument)) kept.push(argument)
    if (!WITH_VALUE.includes(nameOf(argument))) continue
    kept.push(argument)
    if (!isWhole) kept.push(args[n + 1] as string)
  }
  return kept
}

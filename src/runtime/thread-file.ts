import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The file of a thread beside this one: `.ts` when run from sources, `.js` as published. */
export function threadFile(name: string): string {
  const here = fileURLToPath(import.meta.url)
  return path.join(path.dirname(here), name + path.extname(here))
}

/**
 * The process's own arguments without those that give it a script: a thread has a file. Undefined, to inherit them, where
 * there is none of those: said again, arguments of the engine are refused (--trace-gc, --max-old-space-size).
 */
export function threadArguments(): string[] | undefined {
  const kept: string[] = []
  const args = process.execArgv
  for (let n = 0; n < args.length; n++) {
    const argument = args[n] as string
    if (argument.startsWith('--input-type') || argument.startsWith('--eval=') || argument.startsWith('--print='))
      continue
    if (['-e', '--eval', '-p', '--print', '-pe'].includes(argument)) n++
    else kept.push(argument)
  }
  return kept.length === args.length ? undefined : kept
}

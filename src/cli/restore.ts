import { openSecondary, type RestoreProgress, type SetReport } from '../index.ts'
import { EXIT_DONE, UsageError } from './exit-codes.ts'

export const RESTORE_USAGE = `tidemark restore DIR --to OUT [--set N or LABEL | --time T] [--json]

Writes consistent copies of all volumes of a secondary directory into OUT, as NAME.img each, while a group may go on writing
to it. OUT must be new or empty. Without --set and --time it takes the last applied set.
  --set N or LABEL  a kept set by its number (between two kept sets: the older one) or by its name
  --time T          the newest kept set whose consistency time is not after T: an ISO date, or milliseconds since the epoch
  --json            the set's report as one JSON document
INT or TERM gives up and removes what was made.
Exit codes: 0 restored, 1 failed, 2 usage, 4 not there or not kept, 5 it changes all the time and keeps no history, 6 damaged.
`

export interface RestoreCommand {
  readonly directory: string
  readonly to: string
  readonly set: number | string | undefined
  readonly time: number | undefined
  readonly json: boolean
}

export async function restore({ directory, to, set, time, json }: RestoreCommand): Promise<number> {
  const abort = new AbortController()
  let exitCode = EXIT_DONE
  const giveUp = (signal: NodeJS.Signals): void => {
    exitCode = signal === 'SIGINT' ? 130 : 143
    abort.abort()
  }
  process.on('SIGINT', giveUp)
  process.on('SIGTERM', giveUp)
  const progress = new ProgressLine()
  try {
    await using secondary = await openSecondary(directory, { readOnly: true })
    const report = await secondary.restore(to, {
      ...(set !== undefined && { set }),
      ...(time !== undefined && { time }),
      signal: abort.signal,
      onProgress: (told) => progress.show(told)
    })
    progress.end()
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report, to))
    return EXIT_DONE
  } catch (error) {
    progress.end()
    if (!abort.signal.aborted) throw error
    process.stderr.write('given up; what was made is removed\n')
    return exitCode
  } finally {
    process.off('SIGINT', giveUp)
    process.off('SIGTERM', giveUp)
  }
}

/** A name is anything but a number: a set that was named with digits is found by its number. */
export function parseSet(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text
}

/** An ISO date, in UTC where it does not say, or milliseconds. */
export function parseTime(text: string): number {
  const isLocal = /^\d{4}-\d\d-\d\dT[\d:.]+$/.test(text)
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(isLocal ? `${text}Z` : text)
  if (!Number.isFinite(time)) throw new UsageError(`--time takes an ISO date or milliseconds, not '${text}'`)
  return time
}

function describe({ set, label, consistencyTime }: SetReport, to: string): string {
  const name = label === undefined ? '' : ` (${label})`
  return `set ${set}${name}, consistent as of ${new Date(consistencyTime).toISOString()}, is restored in ${to}\n`
}

/** One line that is written over, on a terminal only. */
class ProgressLine {
  private readonly isShown = process.stderr.isTTY === true && process.env.NO_COLOR === undefined
  private last = ''

  show({ step, doneBytes, totalBytes }: RestoreProgress): void {
    if (!this.isShown) return
    const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes)
    const line = `${step === 'copy' ? 'copying volumes' : 'undoing later sets'} ${percent} %`
    if (line === this.last) return
    process.stderr.write(`\r${line.padEnd(this.last.length)}`)
    this.last = line
  }

  end(): void {
    if (this.last !== '') process.stderr.write(`\r${' '.repeat(this.last.length)}\r`)
    this.last = ''
  }
}

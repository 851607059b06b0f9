import { openSecondary, type VerifyProgress, type VerifyReport } from '../index.ts'
import { EXIT_DONE, EXIT_FAILED, EXIT_INTEGRITY } from './exit-codes.ts'
import { formatBytes } from './format-bytes.ts'

export const VERIFY_USAGE = `tidemark verify DIR [--json]

Compares a secondary directory with its own checksums: every block of its volumes, its journal, commit log
and history. Changes nothing, and may be done while a group writes to it.
  --json   the report as one JSON document
Exit codes: 0 all is as it was written, 1 there are no checksums yet (tidemark recover DIR makes them), 2 not one of ours or of
another version, 4 not there, 5 the writer never paused: try again, 6 something is damaged.
`

/** Of one volume that are told one by one. */
const MOST_LINES = 20
const CLEAR_LINE = '\r\x1b[K'

export async function verify(directory: string, json: boolean): Promise<number> {
  const secondary = await openSecondary(directory, { readOnly: true })
  try {
    const report = await verifyShown(secondary)
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report))
    if (report.ok) return EXIT_DONE
    return isDamaged(report) ? EXIT_INTEGRITY : EXIT_FAILED
  } finally {
    await secondary.close()
  }
}

async function verifyShown(secondary: Awaited<ReturnType<typeof openSecondary>>): Promise<VerifyReport> {
  if (!process.stderr.isTTY || (process.env.NO_COLOR ?? '') !== '') return secondary.verify()
  try {
    return await secondary.verify({ onProgress: showProgress })
  } finally {
    process.stderr.write(CLEAR_LINE)
  }
}

function isDamaged({ volumes, journal, history }: VerifyReport): boolean {
  const problems = (journal?.problems.length ?? 0) + (history?.problems.length ?? 0)
  return volumes.some(({ differences }) => differences.length > 0) || problems > 0
}

function showProgress({ bytes, totalBytes, bytesPerSecond }: VerifyProgress): void {
  const part = totalBytes === 0 ? 100 : Math.floor((bytes / totalBytes) * 100)
  process.stderr.write(`${CLEAR_LINE}${part} % of ${formatBytes(totalBytes)}, ${formatBytes(bytesPerSecond)}/s`)
}

function describe(report: VerifyReport): string {
  const { volumes, journal, history, set } = report
  const lines = [`set ${set}: ${headline(report)}`]
  if (report.hasWriter === true) lines.push('a writer is active: volumes were compared between its writes')
  if (report.unfinishedSet !== undefined) {
    const said = 'blocks that it touches were not judged; tidemark recover finishes it'
    lines.push(`a crash left set ${report.unfinishedSet} half applied: ${said}`)
  }
  for (const { name, bytes, differences } of volumes) {
    const wrong = differences.reduce((sum, { length }) => sum + length, 0)
    const state =
      wrong === 0 ? 'as written' : `${wrong} bytes in ${differences.length} places are not as they were written`
    lines.push(
      `  volume ${name}, ${formatBytes(bytes)}: ${report.checksums === 'missing' && wrong === 0 ? 'not compared' : state}`
    )
    for (const { offset, length } of differences.slice(0, MOST_LINES)) lines.push(`    ${length} bytes at ${offset}`)
    if (differences.length > MOST_LINES) lines.push(`    and ${differences.length - MOST_LINES} more (--json has them)`)
  }
  lines.push(...describeFiles('journal', journal))
  if (history !== undefined && (history.bytes > 0 || history.problems.length > 0)) {
    lines.push(...describeFiles('history', history))
  }
  return `${lines.join('\n')}\n`
}

function describeFiles(what: string, found: VerifyReport['journal']): string[] {
  const { bytes = 0, problems = [] } = found ?? {}
  const state = problems.length === 0 ? 'as written' : `${problems.length} problems`
  return [
    `  ${what}, ${formatBytes(bytes)}: ${state}`,
    ...problems.map(
      ({ path, position, reason }) => `    ${path}${position === undefined ? '' : ` at ${position}`}: ${reason}`
    )
  ]
}

function headline(report: VerifyReport): string {
  if (isDamaged(report)) return 'DAMAGED'
  return report.ok ? 'whole' : 'there are no checksums to compare with yet; tidemark recover makes them'
}

import { openSecondary, type SecondaryReport } from '../index.ts'
import { EXIT_DONE } from './exit-codes.ts'

export const INSPECT_USAGE = `tidemark inspect DIR [--json]

Shows a secondary directory without changing it: which set its volumes hold, whether one is being applied right now.
  --json   the report as one JSON document
Exit codes: 0 shown, 2 not one of ours or of another version, 4 not there, 6 damaged.
`

export async function inspect(directory: string, json: boolean): Promise<number> {
  const secondary = await openSecondary(directory, { readOnly: true })
  try {
    const report = await secondary.inspect()
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report))
  } finally {
    await secondary.close()
  }
  return EXIT_DONE
}

export function describe(report: SecondaryReport): string {
  const time = report.consistencyTime === null ? 'none yet' : new Date(report.consistencyTime).toISOString()
  const lines = [
    `applied set       ${report.appliedSet}`,
    `consistent as of  ${time}`,
    `secured set       ${report.securedSet}`,
    `applying          ${report.applying ?? 'nothing'}`,
    `clean             ${report.clean ? 'yes' : 'no: opening it for writing finishes what was left'}`,
    `volumes`
  ]
  const [oldest] = report.history
  if (oldest !== undefined) {
    const since = new Date(oldest.consistencyTime).toISOString()
    lines.splice(5, 0, `history           ${report.history.length} sets, from set ${oldest.set}, ${since}`)
  }
  for (const { name, size, path } of report.volumes) lines.push(`  ${name.padEnd(24)} ${size} bytes  ${path}`)
  return `${lines.join('\n')}\n`
}

/**
 * npm run bench:report -- FILE.json .. [--out report.html] [--markdown]
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { markdownOf } from './markdown.ts'
import { pageOf } from './page.ts'
import { lastOfEach, ReportError, readRun } from './runs.ts'

const DEFAULT_OUT = 'report.html'

const HELP = `npm run bench:report -- FILE.json .. [options]

Makes one HTML page of what npm run bench -- --json FILE wrote. Of a suite that several files have the last one is shown.

  --out FILE     the page (default ${DEFAULT_OUT})
  --markdown     prints a short Markdown table instead; both with --out
  --help         this

Exits 2 for a wrong argument, and for files without results.
`

interface Settings {
  readonly files: readonly string[]
  readonly out: string | undefined
  readonly markdown: boolean
}

function readSettings(args: string[]): Settings | 'help' {
  const { values, positionals } = parse(args)
  if (values.help === true) return 'help'
  if (positionals.length === 0) throw new ReportError('which file? One that npm run bench -- --json FILE wrote')
  const markdown = values.markdown === true
  return { files: positionals, out: values.out ?? (markdown ? undefined : DEFAULT_OUT), markdown }
}

function parse(args: string[]) {
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { out: { type: 'string' }, markdown: flag, help: flag }
    })
  } catch (error) {
    throw new ReportError((error as Error).message)
  }
}

async function report({ files, out, markdown }: Settings): Promise<void> {
  const runs = await Promise.all(files.map(readRun))
  if (markdown) process.stdout.write(markdownOf(runs))
  if (out === undefined) return
  const page = await pageOf(runs)
  await writePage(out, page)
  const suites = lastOfEach(runs).map(({ suite }) => suite)
  process.stderr.write(`${out}: ${suites.join(', ')}; ${Math.ceil(page.length / 1024)} KiB\n`)
}

async function writePage(out: string, page: string): Promise<void> {
  try {
    await writeFile(out, page)
  } catch (error) {
    throw new ReportError(`${out} cannot be written: ${(error as Error).message}`)
  }
}

try {
  const settings = readSettings(process.argv.slice(2))
  if (settings === 'help') process.stdout.write(HELP)
  else await report(settings)
} catch (error) {
  if (!(error instanceof ReportError)) throw error
  process.stderr.write(`bench:report: ${error.message}\n`)
  process.exitCode = 2
}

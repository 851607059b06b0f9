/** The files that benchmarks wrote, and what there is to show of several of them. */
import { readFile } from 'node:fs/promises'
import type { BenchDocument, SuiteVerdict } from '../document.ts'

/** Its message is one line for whoever asked. */
export class ReportError extends Error {}

/** One file. */
export interface Run {
  readonly document: BenchDocument
  /** By the names of suites. */
  readonly results: ReadonlyMap<string, unknown>
}

export interface Measured {
  readonly suite: string
  readonly result: unknown
  readonly run: Run
}

/** What a document has beside results; the compiler sees to it that nothing is missing. */
const NO_SUITES: ReadonlySet<string> = new Set(
  Object.keys({
    environment: true,
    command: true,
    pace: true,
    checks: true,
    verdicts: true,
    ok: true
  } satisfies Record<keyof BenchDocument, true>)
)

/** @throws ReportError */
export async function readRun(file: string): Promise<Run> {
  const document = parse(file, await read(file))
  const { environment, pace, checks } = document
  if (!isObject(environment) || !isObject(pace) || !Array.isArray(checks)) {
    throw new ReportError(`${file} was not written by npm run bench -- --json FILE`)
  }
  const results = new Map(Object.entries(document).filter(([name]) => !NO_SUITES.has(name)))
  if (results.size === 0) throw new ReportError(`${file} has no results of a benchmark in it`)
  // Files of before verdicts were written have none.
  return { document: { ...document, verdicts: document.verdicts ?? [] }, results }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new ReportError(code === 'ENOENT' ? `there is no file ${file}` : `${file} cannot be read: ${message}`)
  }
}

function parse(file: string, text: string): BenchDocument {
  try {
    // A document that is none shows soon: see who calls.
    return Object(JSON.parse(text)) as BenchDocument
  } catch {
    throw new ReportError(`${file} is not JSON`)
  }
}

/** Each suite once: where several runs have it, the last one's. */
export function lastOfEach(runs: readonly Run[]): Measured[] {
  const suites = new Map<string, Measured>()
  for (const run of runs) for (const [suite, result] of run.results) suites.set(suite, { suite, result, run })
  return [...suites.values()]
}

export function verdictsOf({ suite, run }: Measured): SuiteVerdict[] {
  return run.document.verdicts.filter((verdict) => verdict.suite === suite)
}

import { openSecondary } from '../index.ts'
import { EXIT_DONE } from './exit-codes.ts'
import { describe } from './inspect.ts'

export const RECOVER_USAGE = `tidemark recover DIR [--force-unlock] [--json]

Finishes what a crash left in a secondary directory: sets that were secured are applied, the rest is dropped. Opening the
directory for a group does the same.
  --force-unlock  whoever holds its lock; only when you know that nobody writes
  --json          what it is then, as one JSON document
Exit codes: 0 done, 2 not one of ours or of another version, 4 not there, 5 locked by another process, 6 damaged.
`

export async function recover(directory: string, options: { forceUnlock: boolean; json: boolean }): Promise<number> {
  const secondary = await openSecondary(directory, { forceUnlock: options.forceUnlock })
  try {
    const report = await secondary.inspect()
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : describe(report))
  } finally {
    await secondary.close()
  }
  return EXIT_DONE
}

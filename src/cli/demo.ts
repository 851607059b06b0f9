import path from 'node:path'
import { type BackupGroup, openGroup, type TidemarkError } from '../index.ts'
import { HANG_TIMEOUT_MS, type Kill, Kills, killsFor } from './demo-kills.ts'
import { describe, resultOf } from './demo-report.ts'
import { clearEarlierDemo, compare, type DemoVolume, volumesOf } from './demo-volumes.ts'
import { replicate, updatesOf } from './demo-writing.ts'
import { EXIT_DONE, EXIT_INTEGRITY } from './exit-codes.ts'
import { Interruption } from './interruption.ts'

export const DEMO_USAGE = `tidemark demo [FILE...] [--components N] [--directory DIR] [--no-fail] [--json]

Replicates real files: each becomes a volume, its bytes go in as updates from several sources, consistent sets drain to a
secondary directory. Meanwhile components that hold updates are killed: one, or a few where there is more to replicate, in
turn by being terminated, exiting, throwing and hanging. Then every file is compared with its secondary volume, and how
long each step of the failover took is told. Without FILE it takes the running Node.js binary.
  --components N        backup components (default 4)
  --directory DIR       the secondary directory (default tidemark-data/secondary)
  --no-fail             kills no component
  --drain-timeout TIME  after an interruption, wait no longer than this for the last sets (default: until they are applied)
  --json                one JSON document on stdout
Exit codes: 0 all match, 1 failed, 2 usage, 4 a file is not there, 5 the directory is in use, 6 a copy differs.
`

export interface DemoOptions {
  readonly files: readonly string[]
  readonly components: number
  readonly directory: string | undefined
  readonly fail: boolean
  readonly drainTimeoutMs: number | undefined
  readonly json: boolean
}

const GROUP = 'demo'
const DEFAULT_DIRECTORY = path.join('tidemark-data', 'secondary')
const SOURCES = 3
const PERIOD_MS = 100
/**
 * Where there is one kill only, it must find updates held, on a slow machine too: the period is longer than the whole run,
 * whose end closes it.
 */
const LONG_PERIOD_MS = 10_000

export async function demo(options: DemoOptions): Promise<number> {
  const files = options.files.length === 0 ? [process.execPath] : options.files
  const volumes = await volumesOf(files)
  const directory = path.resolve(options.directory ?? DEFAULT_DIRECTORY)
  if (options.directory === undefined && (await clearEarlierDemo(directory, GROUP, volumes))) {
    progress(`${directory} held the volumes of an earlier demo: starting afresh`)
  }
  const interruption = new Interruption(options.drainTimeoutMs)
  const kills = options.fail ? killsFor(volumes.reduce((sum, { bytes }) => sum + bytes, 0)) : 0
  try {
    const group = await openGroup({
      name: GROUP,
      volumes: volumes.map(({ name, bytes }) => ({ name, size: bytes })),
      components: options.components,
      formationPeriodMs: kills === 1 ? LONG_PERIOD_MS : PERIOD_MS,
      hangTimeoutMs: HANG_TIMEOUT_MS,
      secondary: { directory },
      signal: interruption.expired
    })
    const applied = countApplied(group)
    const began = performance.now()
    const killed = await run(group, volumes, kills, interruption)
    const seconds = (performance.now() - began) / 1000
    if (interruption.asked) return interrupted(interruption)
    // Nothing is left to drain: a signal ends the comparison at once.
    interruption.end()
    const compared = await Promise.all(volumes.map((volume) => compare(volume, directory)))
    const result = resultOf({ volumes: compared, ...applied, seconds, kills: killed })
    process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : describe(result, directory))
    return result.ok ? EXIT_DONE : EXIT_INTEGRITY
  } catch (error) {
    // The group was closed under whoever still waited for it.
    if (interruption.expired.aborted) return interrupted(interruption)
    throw error
  } finally {
    interruption.end()
  }
}

/** Everything goes in, with its kills, and is drained. The group is closed in any case. */
async function run(
  group: BackupGroup,
  volumes: readonly DemoVolume[],
  count: number,
  interruption: Interruption
): Promise<readonly Kill[]> {
  let suspended: TidemarkError | undefined
  group.once('suspended', (error) => {
    suspended = error
  })
  try {
    const sources = Array.from({ length: SOURCES }, (_, n) => group.openSource(`demo-${n}`))
    const kills = new Kills({ group, sources, interruption }, count, updatesOf(volumes))
    await replicate(sources, volumes, interruption, () => kills.afterUpdate())
    await kills.settled()
    await group.close()
    // Closing drains what it can, and does not say that it could not.
    if (suspended !== undefined) throw suspended
    return kills.done
  } finally {
    await group.close({ drain: false })
  }
}

function interrupted({ expired }: Interruption): number {
  const drained = expired.aborted ? 'not all of what was taken' : 'what was taken'
  process.stderr.write(`interrupted: ${drained} is in the secondary, nothing was compared\n`)
  return EXIT_DONE
}

/** Counts on while sets are applied. Empty sets are left out: they show that time goes on, not that there was work. */
function countApplied(group: BackupGroup): { sets: number; updates: number } {
  const applied = { sets: 0, updates: 0 }
  group.on('set', ({ set, state, updates }) => {
    if (state !== 'applied' || updates === 0) return
    applied.sets++
    applied.updates += updates
    progress(`set ${set} applied: ${updates} updates`)
  })
  group.on('view', ({ view, reason, component }) => progress(`view ${view}: component ${component} ${reason}`))
  return applied
}

function progress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${message}\n`)
}

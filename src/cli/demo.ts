import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type BackupGroup, openGroup, openSecondary, type PrimarySource, TidemarkError } from '../index.ts'
import { EXIT_DONE, EXIT_INTEGRITY, UsageError } from './exit-codes.ts'

export const DEMO_USAGE = `tidemark demo [FILE...] [--components N] [--directory DIR] [--no-fail] [--json]

Replicates real files: each becomes a volume, its bytes go in as updates from several sources, consistent sets drain to a
secondary directory; then every file is compared with its secondary volume. Without FILE it takes the running Node.js binary.
  --components N        backup components (default 4)
  --directory DIR       the secondary directory (default tidemark-data/secondary)
  --no-fail             kills no component (this version never does)
  --drain-timeout TIME  after an interruption, wait no longer than this for the last sets (default: until they are applied)
  --json                one JSON document on stdout
Exit codes: 0 all match, 1 failed, 2 usage, 4 a file is not there, 5 the directory is in use, 6 a copy differs.
`

export interface DemoOptions {
  readonly files: readonly string[]
  readonly components: number
  readonly directory: string | undefined
  readonly drainTimeoutMs: number | undefined
  readonly json: boolean
}

interface DemoVolume {
  readonly name: string
  readonly file: string
  readonly bytes: number
}

interface ComparedVolume {
  readonly name: string
  readonly bytes: number
  readonly sha256: string
  readonly match: boolean
}

const GROUP = 'demo'
const DEFAULT_DIRECTORY = path.join('tidemark-data', 'secondary')
const SOURCES = 3
const UPDATE_BYTES = 64 * 1024
const PERIOD_MS = 100

export async function demo(options: DemoOptions): Promise<number> {
  const files = options.files.length === 0 ? [process.execPath] : options.files
  const volumes = await volumesOf(files)
  const directory = path.resolve(options.directory ?? DEFAULT_DIRECTORY)
  if (options.directory === undefined) await clearEarlierDemo(directory, volumes)
  const interruption = new Interruption()
  const group = await openGroup({
    name: GROUP,
    volumes: volumes.map(({ name, bytes }) => ({ name, size: bytes })),
    components: options.components,
    formationPeriodMs: PERIOD_MS,
    secondary: { directory }
  })
  let sets = 0
  let updates = 0
  group.on('set', (report) => {
    if (report.state !== 'applied' || report.updates === 0) return
    sets++
    updates += report.updates
    progress(`set ${report.set} applied: ${report.updates} updates`)
  })
  const began = performance.now()
  try {
    await replicate(group, volumes, interruption)
    const deadline = interruption.asked ? options.drainTimeoutMs : undefined
    await group.close(deadline === undefined ? {} : { signal: AbortSignal.timeout(deadline) })
  } finally {
    await group.close({ drain: false })
    interruption.end()
  }
  const seconds = (performance.now() - began) / 1000
  if (interruption.asked) {
    process.stderr.write('interrupted: what was taken is in the secondary, nothing was compared\n')
    return EXIT_DONE
  }
  const compared = await Promise.all(volumes.map((volume) => compare(volume, directory)))
  const bytes = volumes.reduce((sum, volume) => sum + volume.bytes, 0)
  const ok = compared.every((volume) => volume.match)
  const result = {
    ok,
    volumes: compared,
    updatesPerSecond: Math.round(updates / seconds),
    bytesPerSecond: Math.round(bytes / seconds),
    failover: null,
    sets
  }
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : describe(result, directory))
  return ok ? EXIT_DONE : EXIT_INTEGRITY
}

/** Named by their base names; what names may not hold becomes `_`, repeats get -2 and so on. */
async function volumesOf(files: readonly string[]): Promise<DemoVolume[]> {
  const taken = new Set<string>()
  const volumes: DemoVolume[] = []
  for (const file of files) {
    const found = await stat(file)
    if (!found.isFile()) throw new UsageError(`${file} is not a file`)
    const base = path
      .basename(file)
      .replace(/[^A-Za-z0-9._-]/g, '_')
      .replace(/^\./, '_')
      .slice(0, 120)
    let name = base
    for (let n = 2; taken.has(name); n++) name = `${base}-${n}`
    taken.add(name)
    volumes.push({ name, file, bytes: found.size })
  }
  return volumes
}

/** The default directory is the demo's own: one that an earlier demo left with other volumes makes way. */
async function clearEarlierDemo(directory: string, volumes: readonly DemoVolume[]): Promise<void> {
  const there = await stat(directory).catch(() => undefined)
  if (there === undefined) return
  try {
    const secondary = await openSecondary(directory, { readOnly: true })
    const report = await secondary.inspect()
    await secondary.close()
    const wanted = JSON.stringify(volumes.map(({ name, bytes }) => [name, bytes]))
    if (report.group !== GROUP || JSON.stringify(report.volumes.map(({ name, size }) => [name, size])) === wanted)
      return
  } catch (error) {
    // Whatever else is there is not ours to remove: opening the group says what is wrong with it.
    if (error instanceof TidemarkError) return
    throw error
  }
  progress(`${directory} holds the volumes of an earlier demo: starting afresh`)
  await rm(directory, { recursive: true })
}

/** Several sources write at once, each its share of the blocks of every file. */
async function replicate(
  group: BackupGroup,
  volumes: readonly DemoVolume[],
  interruption: Interruption
): Promise<void> {
  const sources = Array.from({ length: SOURCES }, (_, n) => group.openSource(`demo-${n}`))
  for (const volume of volumes) {
    const file = await open(volume.file)
    try {
      await Promise.all(sources.map((source, n) => writeShare(source, volume, file, n, interruption)))
    } finally {
      await file.close()
    }
  }
  await Promise.all(sources.map((source) => source.flush()))
}

async function writeShare(
  source: PrimarySource,
  volume: DemoVolume,
  file: FileHandle,
  share: number,
  interruption: Interruption
): Promise<void> {
  const writer = source.volume(volume.name)
  const block = Buffer.alloc(UPDATE_BYTES)
  for (let offset = share * UPDATE_BYTES; offset < volume.bytes; offset += SOURCES * UPDATE_BYTES) {
    if (interruption.asked) return
    const { bytesRead } = await file.read(block, 0, Math.min(UPDATE_BYTES, volume.bytes - offset), offset)
    if (bytesRead === 0) throw new Error(`${volume.file} became shorter while it was read`)
    const data = block.subarray(0, bytesRead)
    while (!writer.tryPost(offset, data)) await writer.ready(bytesRead)
  }
}

async function compare(volume: DemoVolume, directory: string): Promise<ComparedVolume> {
  const [source, copy] = await Promise.all([
    sha256(volume.file),
    sha256(path.join(directory, 'volumes', `${volume.name}.img`))
  ])
  return { name: volume.name, bytes: volume.bytes, sha256: source, match: source === copy }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

function describe(
  result: { volumes: readonly ComparedVolume[]; updatesPerSecond: number; bytesPerSecond: number; sets: number },
  directory: string
): string {
  const lines = result.volumes.map(
    ({ name, bytes, sha256: sum, match }) => `${match ? 'match  ' : 'DIFFERS'}  ${sum}  ${bytes} bytes  ${name}`
  )
  const mebibytes = (result.bytesPerSecond / 2 ** 20).toFixed(1)
  lines.push(`${result.sets} sets, ${result.updatesPerSecond} updates/s, ${mebibytes} MiB/s, no component was killed`)
  lines.push(`The secondary volumes are in ${path.join(directory, 'volumes')}`)
  return `${lines.join('\n')}\n`
}

function progress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${message}\n`)
}

/** The first INT or TERM drains and ends with 0, the second ends at once. */
class Interruption {
  asked = false
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    if (this.asked) process.exit(signal === 'SIGINT' ? 130 : 143)
    this.asked = true
    process.stderr.write('draining; once more ends at once\n')
  }

  constructor() {
    process.on('SIGINT', this.onSignal)
    process.on('SIGTERM', this.onSignal)
  }

  end(): void {
    process.off('SIGINT', this.onSignal)
    process.off('SIGTERM', this.onSignal)
  }
}

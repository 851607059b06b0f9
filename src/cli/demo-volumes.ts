import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openSecondary, TidemarkError } from '../index.ts'
import { UsageError } from './exit-codes.ts'

/** A file that the demo replicates, as a volume. */
export interface DemoVolume {
  readonly name: string
  readonly file: string
  readonly bytes: number
}

export interface ComparedVolume {
  readonly name: string
  readonly bytes: number
  readonly sha256: string
  readonly match: boolean
}

/** Named by their base names; what names may not hold becomes `_`, repeats get -2 and so on. */
export async function volumesOf(files: readonly string[]): Promise<DemoVolume[]> {
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

/**
 * The default directory is the demo's own: one that an earlier demo of this group left with other volumes makes way.
 * Resolves with whether it did.
 */
export async function clearEarlierDemo(
  directory: string,
  group: string,
  volumes: readonly DemoVolume[]
): Promise<boolean> {
  const there = await stat(directory).catch(() => undefined)
  if (there === undefined) return false
  try {
    const secondary = await openSecondary(directory, { readOnly: true })
    const report = await secondary.inspect()
    await secondary.close()
    const wanted = JSON.stringify(volumes.map(({ name, bytes }) => [name, bytes]))
    const found = JSON.stringify(report.volumes.map(({ name, size }) => [name, size]))
    if (report.group !== group || found === wanted) return false
  } catch (error) {
    // Whatever else is there is not ours to remove: opening the group says what is wrong with it.
    if (error instanceof TidemarkError) return false
    throw error
  }
  await rm(directory, { recursive: true })
  return true
}

/** Reads both from the disk, with nothing of the engine in between. */
export async function compare(volume: DemoVolume, directory: string): Promise<ComparedVolume> {
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

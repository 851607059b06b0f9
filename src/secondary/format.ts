import path from 'node:path'
import { crc32 } from 'node:zlib'
import { TidemarkError } from '../errors.ts'
import { openingError, readIfThere } from './files.ts'
import type { StoreVolume } from './images.ts'

/** The version of everything in DIR/tidemark. Another one is refused. */
export const FORMAT_VERSION = 1

/** A volume as the format file names it. Its place in the list is its number in the journal. */
export interface FormatVolume {
  /** Of the primary volume. */
  readonly name: string
  /** Of the secondary volume: the image is `TARGET.img`. */
  readonly target: string
  readonly size: number
  /** Absolute; null for DIR/volumes. */
  readonly directory: string | null
}

export interface Format {
  readonly version: typeof FORMAT_VERSION
  readonly group: string
  /** Secondary components. */
  readonly components: number
  readonly volumes: readonly FormatVolume[]
}

/** Where things are in a secondary directory. */
export interface Layout {
  readonly directory: string
  readonly volumes: string
  readonly own: string
  readonly format: string
  /** The format file while the directory is being made. */
  readonly unfinished: string
  readonly state: string
  readonly ceiling: string
  readonly commits: string
  readonly checksums: string
  readonly lock: string
  readonly journal: string
  readonly identity: string
  readonly history: string
  readonly leases: string
}

export function layoutOf(directory: string): Layout {
  const absolute = path.resolve(directory)
  const own = path.join(absolute, 'tidemark')
  return {
    directory: absolute,
    volumes: path.join(absolute, 'volumes'),
    own,
    format: path.join(own, 'format.json'),
    unfinished: path.join(own, 'unfinished.json'),
    state: path.join(own, 'state'),
    ceiling: path.join(own, 'ceiling'),
    commits: path.join(own, 'commits.log'),
    checksums: path.join(own, 'checksums'),
    lock: path.join(own, 'lock'),
    journal: path.join(own, 'journal'),
    identity: path.join(own, 'identity'),
    history: path.join(own, 'history'),
    leases: path.join(own, 'leases')
  }
}

export function imagePath(layout: Layout, volume: FormatVolume): string {
  return path.join(volume.directory ?? layout.volumes, `${volume.target}.img`)
}

/** The images, by volume. */
export function storeVolumes(layout: Layout, format: Format): StoreVolume[] {
  return format.volumes.map((volume) => ({ path: imagePath(layout, volume), size: volume.size }))
}

/**
 * By volume: its number in undo parts, the place of its target among all targets in the order of their code units. Volumes
 * may be named in another order the next time, and history must outlive that.
 */
export function undoNumbers(format: Format): number[] {
  const sorted = format.volumes.map(({ target }) => target).sort()
  return format.volumes.map(({ target }) => sorted.indexOf(target))
}

/** Volume and group names become file names: none of them may lead out of its directory. */
export function checkName(what: string, name: unknown): asserts name is string {
  if (typeof name === 'string' && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(name)) return
  const rule = "1 to 128 letters, digits, '.', '_' or '-', not starting with '.'"
  throw new TidemarkError('TIDEMARK_OPTIONS', `${what} ${JSON.stringify(name)} is not ${rule}`, { name })
}

export function checkFormat(layout: Layout, format: Format): void {
  checkName('group name', format.group)
  const targets = new Map<string, string>()
  for (const volume of format.volumes) {
    checkName('volume name', volume.name)
    checkName('target name', volume.target)
    if (!Number.isSafeInteger(volume.size) || volume.size < 0) {
      const message = `size ${volume.size} of volume ${volume.name} is not a whole number of bytes`
      throw new TidemarkError('TIDEMARK_OPTIONS', message, { volume: volume.name, size: volume.size })
    }
    // Names that differ only in case are one file on some systems.
    const target = volume.target.toLowerCase()
    const other = targets.get(target)
    if (other !== undefined) {
      const message = `volumes ${other} and ${volume.name} have the same secondary volume ${volume.target}`
      throw new TidemarkError('TIDEMARK_OPTIONS', message, {
        volumes: [other, volume.name],
        path: imagePath(layout, volume)
      })
    }
    targets.set(target, volume.name)
  }
}

/** Null when there is none: the directory is not a secondary directory, or not yet. */
export function readFormat(layout: Layout, file = layout.format): Format | null {
  const text = readBytes(file)
  if (text === null) return null
  const { checksum, ...format } = parse(text.toString(), file)
  if (format.version !== FORMAT_VERSION) {
    const message = `${layout.directory} has format version ${JSON.stringify(format.version)}, this tidemark knows ${FORMAT_VERSION}`
    const details = { path: layout.directory, version: format.version, known: [FORMAT_VERSION] }
    throw new TidemarkError('TIDEMARK_VERSION', message, details)
  }
  // After the version: another one may be checked otherwise.
  if (checksum !== checksumOf(format)) throw damaged(file)
  if (typeof format.group !== 'string' || !Array.isArray(format.volumes) || typeof format.components !== 'number') {
    throw damaged(file)
  }
  return format as Format
}

export function formatText(format: Format): string {
  return `${JSON.stringify({ ...format, checksum: checksumOf(format) }, null, 2)}\n`
}

/** Of all the rest, without blanks. */
function checksumOf(format: object): number {
  return crc32(JSON.stringify(format))
}

export function readExistingFormat(layout: Layout): Format {
  const format = readFormat(layout)
  if (format === null) throw notSecondary(layout.directory)
  return format
}

export function notSecondary(directory: string): TidemarkError {
  const details = { path: directory, missing: true }
  return new TidemarkError('TIDEMARK_OPTIONS', `${directory} is not a secondary directory`, details)
}

/** What a directory has and what is asked of it must be the same volumes; order and number of components may differ. */
export function checkSame(layout: Layout, found: Format, wanted: Format): void {
  const differences: { volume: string; what: string; found: unknown; wanted: unknown }[] = []
  const byTarget = new Map(found.volumes.map((volume) => [volume.target, volume]))
  for (const volume of wanted.volumes) {
    const there = byTarget.get(volume.target)
    byTarget.delete(volume.target)
    if (there === undefined) {
      differences.push({ volume: volume.target, what: 'volume', found: null, wanted: volume.name })
      continue
    }
    for (const what of ['name', 'size', 'directory'] as const) {
      if (there[what] === volume[what]) continue
      differences.push({ volume: volume.target, what, found: there[what], wanted: volume[what] })
    }
  }
  for (const volume of byTarget.values()) {
    differences.push({ volume: volume.target, what: 'volume', found: volume.name, wanted: null })
  }
  if (found.group !== wanted.group) {
    differences.push({ volume: '', what: 'group', found: found.group, wanted: wanted.group })
  }
  if (differences.length === 0) return
  const said = differences.map(
    (d) => `${d.what} of ${d.volume || 'all'}: ${String(d.found)} there, ${String(d.wanted)} asked for`
  )
  throw new TidemarkError('TIDEMARK_MISMATCH', `${layout.directory} belongs to other volumes (${said.join('; ')})`, {
    path: layout.directory,
    differences
  })
}

function readBytes(file: string): Buffer | null {
  try {
    return readIfThere(file)
  } catch (cause) {
    throw openingError('read', file, cause)
  }
}

function parse(text: string, file: string): Partial<Record<keyof Format | 'checksum', unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Said below.
  }
  throw damaged(file)
}

function damaged(file: string): TidemarkError {
  return new TidemarkError('TIDEMARK_CORRUPT', `${file} is damaged`, { path: file })
}

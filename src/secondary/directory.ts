import fs from 'node:fs'
import path from 'node:path'
import { TidemarkError } from '../errors.ts'
import { BlockSums } from './block-sums.ts'
import type { FileSetStoreOptions, StoreVolume } from './file-store.ts'
import { makeDirectory, openingError, replaceFile, sizeOf, syncDirectory, syncWayTo } from './files.ts'
import {
  checkFormat,
  checkSame,
  FORMAT_VERSION,
  type Format,
  formatText,
  imagePath,
  type Layout,
  layoutOf,
  notSecondary,
  readFormat,
  storeVolumes,
  undoNumbers
} from './format.ts'
import { ensureIdentity } from './identity.ts'
import type { HistoryPolicy } from './kept-sets.ts'
import { acquireLock, type Lock } from './lock.ts'
import { recover, tidy } from './recover.ts'
import { settleHistory } from './settle-history.ts'
import { CeilingFile, StateFile } from './state.ts'
import { sumImagesIfMissing } from './sum-images.ts'

export interface DirectoryVolume {
  /** Of the primary volume. */
  readonly name: string
  /** Default: the same name. */
  readonly target?: string | undefined
  readonly size: number
  /** Another directory for this volume's image. */
  readonly directory?: string | undefined
}

export interface DirectoryOptions {
  readonly directory: string
  readonly group: string
  readonly volumes: readonly DirectoryVolume[]
  /** Secondary components. */
  readonly components: number
  /** Applied sets that are kept; undefined: none. */
  readonly history?: HistoryPolicy | undefined
  /** Takes the lock whoever holds it. */
  readonly force?: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * A secondary directory that is open for writing: it is locked, what a crash left is finished, and its journal is empty.
 * Its components' stores (FileSetStore) work in it, each in its thread; they are closed before it is.
 */
export class SecondaryDirectory {
  readonly layout: Layout
  readonly format: Format
  /** In the order of the format's volumes. */
  readonly volumes: readonly StoreVolume[]
  private readonly policy: HistoryPolicy | null | undefined
  private readonly lock: Lock
  private readonly ceiling: CeilingFile
  private readonly openedAt: number
  private closed = false

  /** @param policy  of history; null: none is kept, undefined: as it was, and no set is added */
  constructor(
    layout: Layout,
    format: Format,
    policy: HistoryPolicy | null | undefined,
    lock: Lock,
    ceiling: CeilingFile
  ) {
    this.policy = policy
    this.layout = layout
    this.format = format
    this.volumes = storeVolumes(layout, format)
    this.lock = lock
    this.ceiling = ceiling
    this.openedAt = ceiling.current
  }

  /** The last set identifier that may have been used before; the first new one is the next. */
  get lastSet(): number {
    return this.openedAt
  }

  /** Durable when it returns; set identifiers up to it may then be handed out. */
  raiseCeiling(upTo: number): void {
    this.ceiling.raise(upTo)
  }

  /** What a component's thread opens its store with. @param keeps  the volumes (their numbers) that it applies */
  storeOptions(component: number, keeps: readonly number[]): FileSetStoreOptions {
    const { layout, volumes, format, policy, openedAt: lastSet } = this
    const { components } = format
    const history = policy ? { policy, numbers: undoNumbers(format) } : undefined
    return { directory: layout.directory, volumes, component, components, keeps, lastSet, history }
  }

  /** Removes what is left of the journal, unless a secured set waits in it for the next opening, and gives the lock back. */
  close(): void {
    if (this.closed) return
    this.closed = true
    try {
      this.ceiling.close()
      tidy(this.layout)
      settleHistory(this.layout, this.policy)
    } finally {
      this.lock.release()
    }
  }
}

/** Opens a secondary directory for writing, and makes it first if there is none. */
export function openDirectory(options: DirectoryOptions): SecondaryDirectory {
  const layout = layoutOf(options.directory)
  const wanted = wantedFormat(options)
  checkFormat(layout, wanted)
  // Before anything is made: a directory of another version or of other volumes is left as it is.
  const before = readFormat(layout)
  if (before !== null) checkSame(layout, before, wanted)
  makeDirectories(layout, wanted)
  return whileLocked(layout, options, options.history ?? null, () => {
    const found = readFormat(layout)
    if (found === null) {
      create(layout, wanted)
      return wanted
    }
    checkSame(layout, found, wanted)
    recoverExisting(layout, found, options.signal)
    // In the journal volumes are numbers: their order may change only now that it is empty.
    if (formatText(found) !== formatText(wanted)) replaceFile(layout.format, formatText(wanted))
    return wanted
  })
}

/** Opens the one that is there, for writing, as it is. */
export function openExistingDirectory(
  directory: string,
  options: { force?: boolean; signal?: AbortSignal | undefined } = {}
): SecondaryDirectory {
  const layout = layoutOf(directory)
  if (readFormat(layout) === null) throw notSecondary(layout.directory)
  return whileLocked(layout, options, undefined, () => {
    const found = readFormat(layout)
    if (found === null) throw notSecondary(layout.directory)
    recoverExisting(layout, found, options.signal)
    return found
  })
}

function whileLocked(
  layout: Layout,
  options: { force?: boolean },
  history: HistoryPolicy | null | undefined,
  open: () => Format
): SecondaryDirectory {
  const lock = acquireLock(layout.lock, options)
  try {
    const format = open()
    ensureIdentity(layout)
    settleHistory(layout, history)
    return new SecondaryDirectory(layout, format, history, lock, CeilingFile.open(layout.ceiling, 'write'))
  } catch (cause) {
    lock.release()
    throw openingError('open', layout.directory, cause)
  }
}

function wantedFormat(options: DirectoryOptions): Format {
  const volumes = options.volumes.map((volume) => ({
    name: volume.name,
    target: volume.target ?? volume.name,
    size: volume.size,
    directory: volume.directory === undefined ? null : realDirectory(volume.directory)
  }))
  return { version: FORMAT_VERSION, group: options.group, components: options.components, volumes }
}

/** Two ways to one directory must not look like two places, whether or not it is there yet. */
function realDirectory(directory: string): string {
  const absolute = path.resolve(directory)
  for (let at = absolute; ; at = path.dirname(at)) {
    try {
      return path.join(fs.realpathSync(at), path.relative(at, absolute))
    } catch (cause) {
      if (at === path.dirname(at)) throw openingError('find', absolute, cause)
    }
  }
}

function makeDirectories(layout: Layout, format: Format): void {
  const own = format.volumes.map((volume) => volume.directory ?? layout.volumes)
  for (const directory of new Set([layout.volumes, layout.journal, layout.history, layout.leases, ...own])) {
    try {
      makeDirectory(directory)
    } catch (cause) {
      throw openingError('make', directory, cause)
    }
  }
}

/**
 * A new directory starts from zeros everywhere: bytes of another origin must neither be taken for its own nor be lost. Only
 * images that an unfinished attempt has made are made anew.
 */
function refuseForeignImages(layout: Layout, format: Format): void {
  const unfinished = readFormat(layout, layout.unfinished)
  const ours = new Set(unfinished?.volumes.map((volume) => imagePath(layout, volume)))
  for (const volume of format.volumes) {
    const image = imagePath(layout, volume)
    if (ours.has(image) || !fs.existsSync(image)) continue
    const message = `${image} exists already, and ${layout.directory} does not know it: move it away`
    throw new TidemarkError('TIDEMARK_MISMATCH', message, { path: image, volume: volume.name })
  }
}

/** The format file gets its name last: without it there was never a set in the directory. */
function create(layout: Layout, format: Format): void {
  refuseForeignImages(layout, format)
  const images = new Set(format.volumes.map((volume) => path.dirname(imagePath(layout, volume))))
  for (const directory of new Set([layout.journal, ...images])) syncWayTo(directory)
  replaceFile(layout.unfinished, formatText(format))
  for (const volume of format.volumes) createImage(imagePath(layout, volume), volume.size)
  for (const directory of images) syncDirectory(directory)
  CeilingFile.create(layout.ceiling)
  StateFile.create(layout.state)
  replaceFile(layout.commits, '')
  BlockSums.create(layout.checksums, storeVolumes(layout, format))
  fs.renameSync(layout.unfinished, layout.format)
  syncDirectory(layout.own)
}

function createImage(image: string, size: number): void {
  try {
    const fd = fs.openSync(image, 'w')
    try {
      fs.ftruncateSync(fd, size)
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  } catch (cause) {
    throw openingError(`make an image of ${size} bytes at`, image, cause)
  }
}

function recoverExisting(layout: Layout, format: Format, signal: AbortSignal | undefined): void {
  checkImages(layout, format)
  // It is opened when all is done: a damaged one is to be refused before an image is touched.
  CeilingFile.open(layout.ceiling, 'read').close()
  recover(layout, format, signal)
  sumImagesIfMissing(layout.checksums, storeVolumes(layout, format), signal)
}

function checkImages(layout: Layout, format: Format): void {
  for (const volume of format.volumes) {
    const image = imagePath(layout, volume)
    const size = sizeOf(image)
    if (size === volume.size) continue
    const state = size === null ? 'is missing' : `is ${size} bytes long, not ${volume.size}`
    const details = { path: image, volume: volume.name, size, expected: volume.size }
    throw new TidemarkError('TIDEMARK_CORRUPT', `the image ${image} of volume ${volume.name} ${state}`, details)
  }
}

import fs from 'node:fs'
import { TidemarkError } from '../errors.ts'
import { openingError } from '../secondary/files.ts'
import { acquireLock, type Lock } from '../secondary/lock.ts'
import type { PrimaryFileOptions, VerifyOptions, VerifyReport } from '../types.ts'
import { ActivityFile } from './activity-file.ts'
import { ActivityLog, type ActivitySurroundings } from './activity-log.ts'
import { type ActivityRecord, MOST_REGIONS, regionBytesFor, regionCount } from './activity-record.ts'
import { Comparison, hasNoBlocks } from './comparison.ts'
import type { GroupSide, PrimaryVolume } from './group-side.ts'
import { ForkedFile } from './primary-file.ts'
import { RangeLocks } from './range-locks.ts'
import { Synchronisation, type SynchronisationReason } from './synchronisation.ts'
import { Verification } from './verification.ts'
import { VolumeFile } from './volume-file.ts'

/** A quarter of them is made clean at once. */
const FEWEST_REGIONS = 4

interface Opened {
  readonly volume: PrimaryVolume
  readonly path: string
  readonly file: VolumeFile
  readonly lock: Lock
  readonly hold: { readonly set: number; release(): void }
  readonly limit: number | undefined
}

/** The primary files of a group: opened one for each volume, closed with the group. */
export class PrimaryFiles {
  private readonly group: GroupSide
  private readonly comparison = new Comparison()
  /** By volume; while one is being opened, its place is taken. */
  private readonly files = new Map<string, ForkedFile | null>()
  /** By volume: the last set with anything of a file that was closed. */
  private readonly lastSets = new Map<string, number>()
  private readonly opening = new Set<Promise<unknown>>()
  private isOver = false

  constructor(group: GroupSide) {
    this.group = group
  }

  private get open(): ForkedFile[] {
    return [...this.files.values()].filter((file) => file !== null)
  }

  async openFile(name: string, path: string, options: PrimaryFileOptions): Promise<ForkedFile> {
    options.signal?.throwIfAborted()
    const volume = this.group.volume(name)
    if (typeof path !== 'string' || path === '') {
      throw new TidemarkError('TIDEMARK_OPTIONS', 'path must be that of the primary file', { option: 'path' })
    }
    checkActivityRegions(options.activityRegions)
    if (this.files.has(name)) {
      const message = `volume '${name}' has an open primary file already: close that first`
      throw new TidemarkError('TIDEMARK_LOCKED', message, { volume: name, path })
    }
    this.files.set(name, null)
    const opening = this.openWhole(volume, path, options)
    const ended = opening.then(
      () => {},
      () => {
        this.files.delete(name)
      }
    )
    this.opening.add(ended)
    ended.then(() => this.opening.delete(ended))
    return opening
  }

  /** Those that are open now. */
  verify(options: VerifyOptions): Promise<VerifyReport> {
    return new Verification(this.open, this.group, this.comparison, options).run()
  }

  /** Nothing is taken any more; resolves when nothing is under way. */
  async quiet(): Promise<void> {
    this.isOver = true
    await Promise.all(this.open.map((file) => file.quiet()))
  }

  /** When the group has ended. */
  async close(): Promise<void> {
    this.isOver = true
    await Promise.all(this.opening)
    await Promise.all(this.open.map((file) => file.closeWithGroup()))
    await this.comparison.close()
  }

  private async openWhole(volume: PrimaryVolume, given: string, options: PrimaryFileOptions): Promise<ForkedFile> {
    // At once: whoever opens several files together gets what differs in all of them into one set.
    const hold = this.group.holdClosing()
    const undo: (() => unknown)[] = [
      () =>
        hold.then(
          ({ release }) => release(),
          () => {}
        )
    ]
    // Where it fails while something else is awaited, that is looked at later.
    hold.catch(() => {})
    try {
      // Two ways to one file lead to one log.
      const path = await realPath(given)
      const file = await VolumeFile.open(path, volume.size)
      undo.push(() => file.close())
      const lock = acquireLock(`${path}.tidemark.lock`)
      undo.push(() => lock.release())
      const before = this.lastSets.get(volume.name) ?? 0
      // Others may have changed the file since: what it sent before must be in the image first.
      await this.group.whenApplied(before, options.signal)
      // P3: what is compared must not vanish from the primary any more.
      await file.sync()
      const opened = { volume, path, file, lock, hold: await hold, limit: options.activityRegions }
      const { log, reason } = await this.openLog(opened, undo)
      options.signal?.throwIfAborted()
      if (this.isOver) throw new TidemarkError('TIDEMARK_CLOSED', 'the group was closed', { volume: volume.name })
      const forked = await this.assemble(opened, log, reason)
      this.files.set(volume.name, forked)
      return forked
    } catch (error) {
      for (const step of undo.reverse()) await step()
      throw error
    }
  }

  private async assemble(opened: Opened, log: LogHolder, reason: SynchronisationReason): Promise<ForkedFile> {
    const { volume, path, file, lock, hold } = opened
    const { group } = this
    const imageIsEmpty = await hasNoBlocks(volume.image)
    const isEmpty = imageIsEmpty && (await hasNoBlocks(path))
    const source = group.openSource(`primary-file-${volume.index}`)
    const locks = new RangeLocks(log.log.regionBytes)
    const synchronisation = new Synchronisation({
      size: volume.size,
      reason,
      isEmpty,
      disk: file,
      locks,
      log: log.log,
      blocks: this.comparison.of(path, volume.image, imageIsEmpty),
      writer: source.volume(volume.name),
      group,
      hold
    })
    const forked = new ForkedFile({
      volume,
      path,
      disk: file,
      log: log.log,
      locks,
      source,
      group,
      synchronisation,
      changedAtMs: async () => (await file.facts()).changedAtMs,
      onClosed: (lastSet) => {
        lock.release()
        this.files.delete(volume.name)
        this.lastSets.set(volume.name, lastSet)
      }
    })
    log.belongsTo(forked)
    return forked
  }

  /** The log beside the file, believed where it may be (P6); else a new one that says that nothing was compared. */
  private async openLog(
    opened: Opened,
    undo: (() => unknown)[]
  ): Promise<{ log: LogHolder; reason: SynchronisationReason }> {
    const { volume, path, file } = opened
    const logPath = `${path}.tidemark`
    const { inode, changedAtMs } = await file.facts()
    const { id, appliedSet } = this.group.secondary()
    const there = await ActivityFile.open(logPath)
    const record = there?.found?.record
    const facts = { size: volume.size, secondary: id, target: volume.target, appliedSet, inode, changedAtMs }
    const distrust = there === null ? 'first' : record === undefined ? 'damaged' : whyNotBelieved(record, facts)
    if (there !== null && record !== undefined && distrust === undefined) {
      const disk = there.go()
      undo.push(() => disk.close())
      const isCrash = record.regions.includes(1)
      const reason = record.cursor < record.size ? 'resumed' : isCrash ? 'crash' : 'none'
      return { log: new LogHolder(disk, record, opened, this.group), reason }
    }
    await there?.close()
    const fresh = freshRecord(volume, id, inode)
    const disk = await ActivityFile.create(logPath, fresh)
    undo.push(() => disk.close())
    return { log: new LogHolder(disk, fresh, opened, this.group), reason: distrust ?? 'first' }
  }
}

/** A log, and the file that is told when it fails. */
class LogHolder {
  readonly log: ActivityLog
  private file: ForkedFile | undefined

  constructor(disk: ActivityFile, record: ActivityRecord, { file, limit }: Opened, group: GroupSide) {
    const surroundings: ActivitySurroundings = {
      syncPrimary: () => file.sync(),
      applied: async (set) => {
        await group.whenApplied(set)
      },
      // Nothing leaves the log before its set ends. One that cannot be ended any more says so elsewhere.
      hurry: () => void group.closeSet().catch(() => {}),
      failed: (error) => this.file?.fail(error)
    }
    this.log = new ActivityLog(disk, record, surroundings, limit)
  }

  belongsTo(file: ForkedFile): void {
    this.file = file
  }
}

interface Facts {
  readonly size: number
  readonly secondary: string
  readonly target: string
  readonly appliedSet: number
  readonly inode: number
  readonly changedAtMs: number
}

/** Undefined: it tells of this file and of this secondary volume, and neither has been changed by others as far as can be seen. */
function whyNotBelieved(record: ActivityRecord, facts: Facts): SynchronisationReason | undefined {
  const { size, secondary, target, inode } = facts
  if (record.secondary !== secondary || record.target !== target || record.size !== size) return 'other-secondary'
  if (record.cleanSet > facts.appliedSet) return 'secondary-went-back'
  if (record.inode !== inode) return 'other-file'
  return record.closedAtMs !== null && record.closedAtMs !== facts.changedAtMs ? 'changed' : undefined
}

function freshRecord(volume: PrimaryVolume, secondary: string, inode: number): ActivityRecord {
  const { size, target } = volume
  const regionBytes = regionBytesFor(size)
  const regions = new Uint8Array(regionCount(size, regionBytes))
  return { size, regionBytes, cursor: 0, cleanSet: 0, inode, closedAtMs: null, secondary, target, regions }
}

function checkActivityRegions(count: number | undefined): void {
  if (count === undefined || (Number.isSafeInteger(count) && count >= FEWEST_REGIONS && count <= MOST_REGIONS)) return
  const message = `activityRegions must be a whole number from ${FEWEST_REGIONS} to ${MOST_REGIONS}, not ${String(count)}`
  throw new TidemarkError('TIDEMARK_OPTIONS', message, { option: 'activityRegions' })
}

async function realPath(path: string): Promise<string> {
  try {
    return await fs.promises.realpath(path)
  } catch (cause) {
    throw openingError('find the primary file', path, cause)
  }
}

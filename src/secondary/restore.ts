import fs from 'node:fs'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { TidemarkError } from '../errors.ts'
import type { RestoreOptions } from '../types.ts'
import { Applier } from './applier.ts'
import { type Part, UNDO_MAGIC } from './block.ts'
import { type Commit, readCommits } from './commit-log.ts'
import { copyImages } from './copy-images.ts'
import { type Format, type Layout, readExistingFormat, undoNumbers } from './format.ts'
import { Images, type StoreVolume } from './images.ts'
import { readSteps } from './journal-reader.ts'
import { findKept, type KeptSet, keptSets, notKept } from './kept-sets.ts'
import { type Lease, writeLease } from './leases.ts'
import { changedBy } from './manifest.ts'
import type { RestoreTarget } from './restore-target.ts'
import { type SecondaryState, StateFile } from './state.ts'
import { undoPath } from './undo.ts'

/** The longest that the thread is kept from others. */
const TURN_MS = 5

/** Copies: they are synced once, in the end. */
class RestoredImages extends Images {
  override syncNext(): boolean {
    return false
  }
}

interface UndoFile {
  readonly path: string
  readonly component: number
  readonly set: number
  readonly bytes: number
}

/**
 * Restores a set of a directory with history, in the steps of docs/history.md. The writer, if there is one, may do anything
 * between any two of them, and within.
 */
export class Restore {
  /** The set that is restored. */
  readonly found: KeptSet
  private readonly layout: Layout
  private readonly format: Format
  private readonly options: RestoreOptions
  private readonly lease: Lease
  private readonly state: StateFile
  /** By number in undo parts. */
  private readonly copies: StoreVolume[] = []
  private pauseAt = 0

  /** The set is found, there is a lease on it, and it is still kept: from here on nothing of it is removed. */
  constructor(layout: Layout, options: RestoreOptions) {
    this.layout = layout
    this.format = readExistingFormat(layout)
    this.options = options
    this.state = StateFile.open(layout.state, 'read')
    let lease: Lease | undefined
    try {
      this.found = findKept(this.kept(), options)
      lease = writeLease(layout.leases, this.found.set)
      this.lease = lease
      // Read when the lease was there. Retention publishes this before it lists leases: what is kept now, it keeps for us.
      const { history } = this.checkComplete()
      if (history !== null && history.oldest > this.found.set) {
        throw notKept(`set ${this.found.set} is not kept any more`, this.found.set, this.kept())
      }
    } catch (cause) {
      lease?.release()
      this.state.close()
      throw cause
    }
  }

  /** Copies the images as they are, perhaps in the middle of a set. */
  async copy(target: RestoreTarget): Promise<void> {
    const { layout, format } = this
    const { signal, onProgress } = this.options
    const totalBytes = format.volumes.reduce((sum, { size }) => sum + size, 0)
    let doneBytes = 0
    const copies = await copyImages(layout, format, target, {
      signal,
      onProgress: (bytes) => {
        doneBytes += bytes
        onProgress?.({ step: 'copy', doneBytes, totalBytes })
      }
    })
    for (const [volume, number] of undoNumbers(format).entries()) {
      this.copies[number] = copies[volume] as StoreVolume
    }
  }

  /** Undoes, in the copies, all sets after the one that is restored, the newest first. */
  async undo(): Promise<void> {
    // Read when the copies were made: every set of which there can be bytes in them was announced, so it has a record.
    const { appliedSet } = this.checkComplete()
    const files = this.laterCommits(appliedSet).flatMap((commit) => this.undoOf(commit, commit.set <= appliedSet))
    const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
    let doneBytes = 0
    const images = new RestoredImages(this.copies)
    try {
      const applier = new Applier(images, this.copies.length, null)
      for (const file of files) {
        await this.apply(applier, file)
        doneBytes += file.bytes
        this.options.onProgress?.({ step: 'undo', doneBytes, totalBytes })
      }
    } finally {
      images.close()
    }
  }

  close(): void {
    this.lease.release()
    this.state.close()
  }

  private kept(): KeptSet[] {
    const state = this.state.refresh()
    return keptSets(state, readCommits(this.layout.commits).commits)
  }

  /** Undo of every set after it was saved, and still is. */
  private checkComplete(): SecondaryState {
    const state = this.state.refresh()
    const { set } = this.found
    if (state.history !== null && state.history.since <= set) return state
    const message = `history of ${this.layout.directory} was turned off while set ${set} was being restored`
    throw new TidemarkError('TIDEMARK_OPTIONS', message, { path: this.layout.directory, set })
  }

  /** The newest first. */
  private laterCommits(appliedSet: number): Commit[] {
    const { commits, damagedBefore } = readCommits(this.layout.commits)
    const later = commits.filter(({ set }) => set > this.found.set)
    const isMissing = appliedSet > this.found.set && !later.some(({ set }) => set === appliedSet)
    if (damagedBefore > this.found.set || isMissing) {
      const message = `${this.layout.commits} lacks a record of a set after ${this.found.set}: it was damaged`
      throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: this.layout.commits, set: this.found.set })
    }
    return later.reverse()
  }

  /** @param isApplied  each component of the set has changed its images: its undo must be there */
  private undoOf(commit: Commit, isApplied: boolean): UndoFile[] {
    return changedBy(commit).flatMap((component) => {
      const file = undoPath(this.layout.history, component, commit.set)
      const bytes = fs.statSync(file, { throwIfNoEntry: false })?.size
      if (bytes !== undefined) return [{ path: file, component, set: commit.set, bytes }]
      // One that is not there yet was not begun when the copies were made.
      if (!isApplied) return []
      throw damagedUndo(file, component, commit.set, 'it is missing')
    })
  }

  private async apply(applier: Applier, file: UndoFile): Promise<void> {
    const part = await this.read(file)
    const fd = fs.openSync(file.path, 'r')
    try {
      applier.begin(part.frames, fd, file.path, false)
      while (!applier.applySome()) await this.pause()
    } finally {
      fs.closeSync(fd)
    }
  }

  private async read({ path: file, component, set }: UndoFile): Promise<Part> {
    const parts: Part[] = []
    const steps = readSteps({ path: file, component, firstSet: set }, (part) => parts.push(part), UNDO_MAGIC)
    try {
      let step = steps.next()
      for (; step.done !== true; step = steps.next()) await this.pause()
      const [part] = parts
      if (step.value === null && part !== undefined && parts.length === 1 && part.set === set) return part
      throw damagedUndo(file, component, set, step.value?.reason ?? 'it is not one whole part')
    } finally {
      // Closes the file, if we were told to stop.
      steps.return(null)
    }
  }

  /** Others have their turn on this thread, every few milliseconds. */
  private async pause(): Promise<void> {
    if (performance.now() < this.pauseAt) return
    await nextTurn()
    this.options.signal?.throwIfAborted()
    this.pauseAt = performance.now() + TURN_MS
  }
}

function damagedUndo(file: string, component: number, set: number, reason: string): TidemarkError {
  const message = `undo of set ${set}, ${path.basename(file)}, cannot be used: ${reason}`
  return new TidemarkError('TIDEMARK_CORRUPT', message, { path: file, component, set })
}

import { TidemarkError } from '../errors.ts'
import type { VerifyOptions, VerifyReport } from '../types.ts'
import { COMPARE_BYTES, COMPARE_THREADS, type Comparison, type SecondaryBlocks } from './comparison.ts'
import type { GroupSide } from './group-side.ts'
import type { ForkedFile } from './primary-file.ts'

/** Applying is held back for so long at once. */
const SLICE_MS = 200
/** A range that was hot so often is locked for writers. */
const PATIENCE = 3
/** So much is locked at once. */
const LOCKED_BYTES = 4 * COMPARE_BYTES
/** Of one volume; what differs beyond is only counted as not ok. */
const MOST_DIFFERENCES = 10_000
const PROGRESS_MS = 100

interface Stretch {
  readonly file: ForkedFile
  readonly blocks: SecondaryBlocks
  readonly offset: number
  readonly length: number
  readonly found: { offset: number; length: number }[]
  /** How often it was written too lately. */
  met: number
}

/**
 * Compares primary files with their secondary volumes while writers go on (docs/primary-files.md). Applying is held at a set
 * A; compared is only what has no write under way and none in a set after A: there the file is what the image must be.
 */
export class Verification {
  private readonly files: readonly ForkedFile[]
  private readonly group: GroupSide
  private readonly comparison: Comparison
  private readonly options: VerifyOptions
  private readonly volumes: VerifyReport['volumes'] = []
  private waiting: Stretch[] = []
  private set = 0
  private bytes = 0
  private totalBytes = 0
  private readonly beganAt = performance.now()
  private toldAt = this.beganAt

  constructor(files: readonly ForkedFile[], group: GroupSide, comparison: Comparison, options: VerifyOptions) {
    this.files = files
    this.group = group
    this.comparison = comparison
    this.options = options
  }

  /** @throws TidemarkError TIDEMARK_OPTIONS where there is nothing to compare, TIDEMARK_CLOSED */
  async run(): Promise<VerifyReport> {
    const { signal } = this.options
    if (this.files.length === 0) {
      const message = 'no volume has an open primary file: there is nothing to compare its secondary volume with'
      throw new TidemarkError('TIDEMARK_OPTIONS', message, { call: 'verify' })
    }
    for (const file of this.files) {
      await file.synchronised(signal === undefined ? {} : { signal })
      this.divide(file)
    }
    while (this.waiting.length > 0) {
      await this.compareCold()
      const hot = this.waiting.filter(({ met }) => met >= PATIENCE)
      if (hot.length > 0) await this.compareLocked(hot.slice(0, LOCKED_BYTES / COMPARE_BYTES))
    }
    this.tell(true)
    for (const { differences } of this.volumes) merge(differences)
    return {
      ok: this.volumes.every(({ differences }) => differences.length === 0),
      set: this.set,
      volumes: this.volumes
    }
  }

  private divide(file: ForkedFile): void {
    const { name, size, image } = file.parts.volume
    const blocks = this.comparison.of(file.parts.path, image, false)
    const found: Stretch['found'] = []
    this.volumes.push({ name, bytes: size, differences: found })
    this.totalBytes += size
    for (let offset = 0; offset < size; offset += COMPARE_BYTES) {
      const length = Math.min(COMPARE_BYTES, size - offset)
      this.waiting.push({ file, blocks, offset, length, found, met: 0 })
    }
  }

  /** As many as are cold, for a while. */
  private async compareCold(): Promise<void> {
    const until = performance.now() + SLICE_MS
    const hold = await this.group.holdApplied(this.options.signal)
    this.set = hold.report.set
    try {
      const left = this.waiting
      const again: Stretch[] = []
      await this.inLanes(async () => {
        if (performance.now() > until) return false
        const stretch = left.shift()
        if (stretch === undefined) return false
        if (!(await this.isComparedAt(stretch))) again.push(stretch)
        return true
      })
      // Behind those that were not looked at yet.
      this.waiting = [...left, ...again]
    } finally {
      hold.release()
    }
  }

  /** False when it was written too lately. */
  private async isComparedAt(stretch: Stretch): Promise<boolean> {
    const { file, offset, length } = stretch
    const place = file.parts.locks.take(offset, length, 'look')
    try {
      if (place.granted !== undefined) await place.granted
      if (lastSetOf(stretch) <= this.set) {
        await this.compare(stretch)
        return true
      }
      stretch.met++
      return false
    } finally {
      place.release()
    }
  }

  /** Writers wait until what they wrote there before is applied, and compared. */
  private async compareLocked(hot: readonly Stretch[]): Promise<void> {
    const { group, options } = this
    const places = hot.map(({ file, offset, length }) => file.parts.locks.take(offset, length, 'look'))
    try {
      await Promise.all(places.map(({ granted }) => granted))
      await group.closeSet()
      await group.whenApplied(Math.max(...hot.map(lastSetOf)), options.signal)
      const hold = await group.holdApplied(options.signal)
      this.set = hold.report.set
      try {
        const left = hot.slice()
        await this.inLanes(async () => {
          const stretch = left.shift()
          if (stretch !== undefined) await this.compare(stretch)
          return stretch !== undefined
        })
      } finally {
        hold.release()
      }
      this.waiting = this.waiting.filter((stretch) => !hot.includes(stretch))
    } finally {
      for (const place of places) place.release()
    }
  }

  private async compare({ file, blocks, offset, length, found }: Stretch): Promise<void> {
    this.options.signal?.throwIfAborted()
    file.checkOpen()
    const differences = await blocks.differences(offset, length)
    for (let n = 0; n < differences.length && found.length < MOST_DIFFERENCES; n += 3) {
      found.push({ offset: differences[n] as number, length: differences[n + 1] as number })
    }
    this.bytes += length
    this.tell(false)
  }

  private async inLanes(step: () => Promise<boolean>): Promise<void> {
    const lane = async (): Promise<void> => {
      while (await step());
    }
    // Nobody compares any more when the hold is released.
    const ended = await Promise.allSettled(Array.from({ length: COMPARE_THREADS }, lane))
    for (const lane of ended) if (lane.status === 'rejected') throw lane.reason
  }

  private tell(isOver: boolean): void {
    const now = performance.now()
    if (!isOver && now - this.toldAt < PROGRESS_MS) return
    this.toldAt = now
    const { bytes, totalBytes } = this
    this.options.onProgress?.({ bytes, totalBytes, bytesPerSecond: (bytes * 1000) / Math.max(1, now - this.beganAt) })
  }
}

/** The last set that anything of it is in. */
function lastSetOf({ file, offset, length }: Stretch): number {
  const { log } = file.parts
  let set = 0
  const last = Math.floor((offset + length - 1) / log.regionBytes)
  for (let region = Math.floor(offset / log.regionBytes); region <= last; region++) {
    set = Math.max(set, log.lastSetOf(region))
  }
  return set
}

/** In order, and those that touch as one. */
function merge(differences: { offset: number; length: number }[]): void {
  differences.sort((a, b) => a.offset - b.offset)
  for (let n = differences.length - 1; n > 0; n--) {
    const [before, one] = differences.slice(n - 1, n + 1) as [
      { offset: number; length: number },
      { offset: number; length: number }
    ]
    if (before.offset + before.length !== one.offset) continue
    before.length += one.length
    differences.splice(n, 1)
  }
}

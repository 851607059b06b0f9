import type { ActivityDisk } from './activity-file.ts'
import { type ActivityRecord, regionCount } from './activity-record.ts'

/** What the log must be able to ask for before a region may leave it. */
export interface ActivitySurroundings {
  /** All that was written to the primary file before is on the disk when it resolves. */
  syncPrimary(): Promise<void>
  /** Resolves when the set is applied at the secondary. */
  applied(set: number): Promise<void>
  /** Writers wait for room in the log: the forming set is to end now. */
  hurry(): void
  /** Nothing can be promised any more. */
  failed(error: unknown): void
}

interface Waiting {
  readonly first: number
  readonly last: number
  resolve(): void
  reject(error: unknown): void
}

const SMALLEST_LIMIT = 64
/** Read in a moment: so much may be in the log of a small volume as well. */
const USUAL_BYTES = 256 * 2 ** 20
/** Of the limit: so many are made clean at once, and so many may be in use before that begins. */
const BATCH = 1 / 4
const BEGIN_AT = 3 / 4

/** Regions that may be in the log at once, those aside that wait to be compared. */
export function regionLimit(regions: number, regionBytes: number): number {
  return Math.max(SMALLEST_LIMIT, Math.ceil(regions / 4), Math.ceil(USUAL_BYTES / regionBytes))
}

/**
 * The regions of a primary file whose bytes may differ from the secondary's after a crash (docs/primary-files.md).
 * P1: `enter` lets nobody on before his regions are durably in it. P2: a region leaves it only when no write to it is under
 * way, its last write is applied at the secondary, and the primary was synced after that write had ended.
 */
export class ActivityLog {
  readonly regionBytes: number
  readonly limit: number
  private readonly disk: ActivityDisk
  private readonly surroundings: ActivitySurroundings
  private record: ActivityRecord
  /** In the next record. */
  private readonly wanted: Uint8Array
  /** In the durable record, and in the one that is being written, if any. */
  private readonly safe: Uint8Array
  /** In the record that is being written. */
  private readonly coming: Uint8Array
  /** Writes under way. */
  private readonly pins: Int32Array
  /** They wait to be compared after a crash. */
  private readonly uncompared: Uint8Array
  /** A write to it has failed: file and group may differ until the next opening. */
  private readonly doubtful: Uint8Array
  private readonly lastSets: Float64Array
  private readonly touched: Float64Array
  private tick = 0
  /** Wanted ones that were compared. */
  private count = 0
  private readonly queue: Waiting[] = []
  private writing: Promise<void> | undefined
  private nextWrite: Promise<void> | undefined
  private isCleaning = false
  private isBounded = true
  private failure: { error: unknown } | undefined

  /** @param limit  how many regions may be in it at once, beside those that wait to be compared */
  constructor(disk: ActivityDisk, record: ActivityRecord, surroundings: ActivitySurroundings, limit?: number) {
    this.disk = disk
    // The first record that is written says so: from then on the file may change.
    this.record = { ...record, closedAtMs: null }
    this.surroundings = surroundings
    this.regionBytes = record.regionBytes
    const regions = regionCount(record.size, record.regionBytes)
    this.limit = limit ?? regionLimit(regions, record.regionBytes)
    this.wanted = record.regions.slice()
    this.safe = record.regions.slice()
    this.uncompared = record.regions.slice()
    this.coming = new Uint8Array(regions)
    this.pins = new Int32Array(regions)
    this.doubtful = new Uint8Array(regions)
    this.lastSets = new Float64Array(regions)
    this.touched = new Float64Array(regions)
  }

  /** Bytes before it were compared once, and what differed is applied. */
  get cursor(): number {
    return this.record.cursor
  }

  get uncomparedRegions(): number[] {
    return [...this.uncompared.keys()].filter((region) => this.uncompared[region] === 1)
  }

  /** The set of the last acknowledged write to the region since it entered the log; 0 when it is not in it. */
  lastSetOf(region: number): number {
    return this.wanted[region] === 1 ? (this.lastSets[region] as number) : 0
  }

  /**
   * A write to these regions begins. Undefined when they are durably in the log already; else resolves when they are. Each
   * `enter` that got through is followed by one `leave`.
   */
  enter(first: number, last: number): Promise<void> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure.error)
    if (this.needs(first, last) === 0) return this.join(first, last)
    if (this.queue.length === 0 && this.fits(first, last)) {
      const joined = this.join(first, last)
      this.cleanSoon()
      return joined
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ first, last, resolve, reject })
      this.surroundings.hurry()
      this.cleanSoon()
    })
  }

  /** It has ended, in the file and in the group. @param set  in which the group has it; undefined: one of the two failed */
  leave(first: number, last: number, set: number | undefined): void {
    for (let region = first; region <= last; region++) {
      this.pins[region] = (this.pins[region] as number) - 1
      this.touched[region] = ++this.tick
      if (set === undefined) this.doubtful[region] = 1
      else this.lastSets[region] = Math.max(this.lastSets[region] as number, set)
    }
    if (this.queue.length > 0) this.cleanSoon()
  }

  /** What differed in a region after the crash is in the group, in this set or earlier ones; 0: nothing differed. */
  compared(region: number, set: number): void {
    this.uncompared[region] = 0
    this.lastSets[region] = Math.max(this.lastSets[region] as number, set)
    this.count++
    this.cleanSoon()
  }

  /** As long as the forming set is held open nothing can leave the log: nobody is to wait for that. */
  set bounded(bounded: boolean) {
    this.isBounded = bounded
    this.cleanSoon()
  }

  /** All before it was compared, and what differed is applied: in this set or earlier ones. */
  moveCursor(cursor: number, set: number): Promise<void> {
    this.record = { ...this.record, cursor, cleanSet: Math.max(this.record.cleanSet, set) }
    return this.writeSoon()
  }

  /**
   * The last call, when no write is under way: everything is applied up to this set. What may leave the log leaves it.
   * @param closedAtMs  of the file, as it is now
   */
  async finish(appliedSet: number, closedAtMs: () => Promise<number>): Promise<void> {
    await this.surroundings.syncPrimary()
    for (let region = 0; region < this.wanted.length; region++) {
      if (this.mayLeave(region) && (this.lastSets[region] as number) <= appliedSet) this.drop(region)
    }
    this.record = { ...this.record, closedAtMs: await closedAtMs() }
    await this.writeSoon()
  }

  /** No writer gets on any more. What is being written is finished. */
  async close(error: unknown): Promise<void> {
    this.fail(error)
    await Promise.allSettled([this.writing, this.nextWrite])
    await this.disk.close()
  }

  private needs(first: number, last: number): number {
    let needs = 0
    for (let region = first; region <= last; region++) if (this.wanted[region] === 0) needs++
    return needs
  }

  /** Alone it always fits, so that a limit of few regions cannot keep out a long write. */
  private fits(first: number, last: number): boolean {
    return !this.isBounded || this.count === 0 || this.count + this.needs(first, last) <= this.limit
  }

  private join(first: number, last: number): Promise<void> | undefined {
    let isSafe = true
    let isComing = true
    for (let region = first; region <= last; region++) {
      this.pins[region] = (this.pins[region] as number) + 1
      if (this.wanted[region] === 0) {
        this.wanted[region] = 1
        this.count++
      }
      if (this.safe[region] === 1) continue
      isSafe = false
      if (this.coming[region] === 0) isComing = false
    }
    if (isSafe) return undefined
    return isComing && this.writing !== undefined ? this.writing : this.writeSoon()
  }

  /** One record at a time; all that is asked for meanwhile goes into the next one. */
  private writeSoon(): Promise<void> {
    this.nextWrite ??= this.writeNext()
    return this.nextWrite
  }

  private async writeNext(): Promise<void> {
    // At least one turn later: what is asked for in this one is in it as well.
    await this.writing?.catch(() => {})
    this.nextWrite = undefined
    if (this.failure !== undefined) throw this.failure.error
    const writing = this.write()
    this.writing = writing
    try {
      await writing
    } catch (error) {
      this.fail(error)
      throw error
    } finally {
      if (this.writing === writing) this.writing = undefined
    }
  }

  private async write(): Promise<void> {
    this.record = { ...this.record, regions: this.wanted.slice() }
    this.coming.set(this.wanted)
    // From here on a crash may find the new record: who is not in it is not safe.
    for (let region = 0; region < this.safe.length; region++) {
      if (this.coming[region] === 0) this.safe[region] = 0
    }
    await this.disk.write(this.record)
    this.safe.set(this.coming)
    this.coming.fill(0)
  }

  private cleanSoon(): void {
    if (this.isCleaning || !this.isBounded || this.failure !== undefined) return
    if (this.queue.length === 0 && this.count <= this.limit * BEGIN_AT) return
    this.isCleaning = true
    this.clean().then(
      (hadIdle) => {
        this.isCleaning = false
        this.admit()
        // Where all are in use, the next one that leaves begins it again.
        if (hadIdle) this.cleanSoon()
      },
      (error: unknown) => {
        this.isCleaning = false
        this.fail(error)
      }
    )
  }

  /** The oldest ones that are not in use leave the log, together. False when there are none. */
  private async clean(): Promise<boolean> {
    const idle = [...this.wanted.keys()]
      .filter((region) => this.wanted[region] === 1 && this.mayLeave(region))
      .sort((a, b) => (this.touched[a] as number) - (this.touched[b] as number))
      .slice(0, Math.ceil(this.limit * BATCH))
    if (idle.length === 0) return false
    const ticks = idle.map((region) => this.touched[region])
    const last = idle.reduce((set, region) => Math.max(set, this.lastSets[region] as number), 0)
    await this.surroundings.syncPrimary()
    const applied = this.surroundings.applied(last)
    if (this.queue.length > 0) this.surroundings.hurry()
    await applied
    for (const [n, region] of idle.entries()) {
      // A write that ended after the sync began is not covered by it.
      if (this.mayLeave(region) && this.touched[region] === ticks[n]) this.drop(region)
    }
    await this.writeSoon()
    return true
  }

  private mayLeave(region: number): boolean {
    return this.pins[region] === 0 && this.uncompared[region] === 0 && this.doubtful[region] === 0
  }

  private drop(region: number): void {
    if (this.wanted[region] === 0) return
    this.wanted[region] = 0
    this.count--
    const cleanSet = Math.max(this.record.cleanSet, this.lastSets[region] as number)
    this.record = { ...this.record, cleanSet }
    this.lastSets[region] = 0
  }

  private admit(): void {
    for (let next = this.queue[0]; next !== undefined; next = this.queue[0]) {
      if (!this.fits(next.first, next.last)) return
      this.queue.shift()
      const joined = this.join(next.first, next.last)
      if (joined === undefined) next.resolve()
      else joined.then(next.resolve, next.reject)
    }
  }

  private fail(error: unknown): void {
    if (this.failure !== undefined) return
    this.failure = { error }
    for (const { reject } of this.queue.splice(0)) reject(error)
    this.surroundings.failed(error)
  }
}

import type { PrimaryFile, Receipt, VolumeWriter } from '../types.ts'
import type { ActivityLog } from './activity-log.ts'
import type { Differences } from './compare-thread.ts'
import { COMPARE_BYTES, COMPARE_THREADS, type SecondaryBlocks } from './comparison.ts'
import type { GroupSide } from './group-side.ts'
import type { RangeLocks } from './range-locks.ts'
import type { VolumeDisk } from './volume-file.ts'

export type SynchronisationReason = PrimaryFile['synchronisation']['reason']

export interface SynchronisationSetting {
  readonly size: number
  readonly reason: SynchronisationReason
  /** Both sides read as zeros from beginning to end. */
  readonly isEmpty: boolean
  readonly disk: VolumeDisk
  readonly locks: RangeLocks
  readonly log: ActivityLog
  readonly blocks: SecondaryBlocks
  /** By which all updates of the file go. */
  readonly writer: VolumeWriter
  readonly group: Pick<GroupSide, 'updateBytes' | 'whenApplied' | 'closeSet'>
  /** The forming set, which stays open until it is released. */
  readonly hold: { readonly set: number; release(): void }
}

/** Of an update that brings what differed. */
const PIECE_BYTES = 1 << 18
/** The cursor is made durable after so many bytes, and so many times at most. */
const SMALLEST_STEP = 1 << 20
const STEPS = 64

interface Stretch {
  readonly from: number
  readonly to: number
}

/**
 * Brings the secondary volume to what the primary file holds: the regions that a crash has left in the log, then all that
 * lies behind the cursor. A range is compared, and what differs posted, while no write to it is under way (P5).
 */
export class Synchronisation {
  readonly ended: Promise<void>
  private readonly setting: SynchronisationSetting
  private readonly regions: number[]
  /** All of it goes into one set. */
  private readonly isWhole: boolean
  private isOver = false
  private isDone = false
  private bytesRead = 0
  private bytesSent = 0
  private readonly totalBytes: number
  /** The last set with anything that differed. */
  private lastSet = 0
  // Of the cursor.
  private readonly compared = new Map<number, { to: number; set: number }>()
  private reached: { at: number; set: number }
  private moving: Promise<void> | undefined
  private failure: { readonly error: unknown } | undefined

  constructor(setting: SynchronisationSetting) {
    this.setting = setting
    const { log, size } = setting
    this.regions = log.uncomparedRegions
    this.isWhole = log.cursor === size
    this.reached = { at: log.cursor, set: 0 }
    const ofRegions = this.regions.reduce((sum, region) => sum + this.lengthOf(region), 0)
    this.totalBytes = ofRegions + (size - log.cursor)
    this.ended = this.run().finally(() => this.letSetsEnd())
  }

  get report(): PrimaryFile['synchronisation'] {
    const { reason, hold } = this.setting
    const { bytesRead, bytesSent, totalBytes, lastSet, isDone } = this
    const set = Math.max(lastSet, hold.set)
    return {
      state: isDone ? 'done' : 'running',
      reason,
      bytesRead,
      bytesSent,
      totalBytes,
      set: isDone ? set : null,
      mixedSets: lastSet === 0 ? 0 : set - hold.set
    }
  }

  /** The last set with anything that it has sent. */
  get sentSet(): number {
    return this.lastSet
  }

  /** It stops at the next range, and goes on at the next opening. */
  stop(): void {
    this.isOver = true
  }

  /**
   * The same, where sets end meanwhile. What a crash has left is brought to its end: a set with half of it would show a state
   * that never was.
   */
  stopUnlessWhole(): void {
    if (!this.isWhole) this.stop()
  }

  private async run(): Promise<void> {
    const { log, size, group } = this.setting
    // Where everything is compared sets go on: it may take hours.
    if (this.isWhole) log.bounded = false
    else this.letSetsEnd()
    await this.compareRegions()
    if (!this.isWhole) await this.compareRest()
    this.letSetsEnd()
    if (this.failure !== undefined) throw this.failure.error
    if (this.isOver) return
    if (this.lastSet > 0) {
      await group.closeSet()
      await group.whenApplied(this.lastSet)
    }
    await this.moving
    if (!this.isWhole) await log.moveCursor(size, this.lastSet)
    this.isDone = true
  }

  private letSetsEnd(): void {
    this.setting.hold.release()
    this.setting.log.bounded = true
  }

  private async compareRegions(): Promise<void> {
    const { log } = this.setting
    const left = this.regions.slice()
    await this.inLanes(async () => {
      const region = left.shift()
      if (region === undefined) return false
      let set = 0
      const from = region * log.regionBytes
      for (let at = from; at < from + this.lengthOf(region); at += COMPARE_BYTES) {
        if (this.isOver) return false
        set = Math.max(set, await this.compare(at, Math.min(COMPARE_BYTES, from + this.lengthOf(region) - at)))
      }
      log.compared(region, set)
      return true
    })
  }

  private async compareRest(): Promise<void> {
    const { size, isEmpty } = this.setting
    if (isEmpty) {
      this.reached = { at: size, set: 0 }
      return
    }
    let next = this.reached.at
    await this.inLanes(async () => {
      if (next >= size) return false
      const stretch = { from: next, to: Math.min(next + COMPARE_BYTES, size) }
      next = stretch.to
      this.note(stretch, await this.compare(stretch.from, stretch.to - stretch.from))
      return true
    })
  }

  /** @param step  false when there is nothing left */
  private async inLanes(step: () => Promise<boolean>): Promise<void> {
    const lane = async (): Promise<void> => {
      while (!this.isOver && (await step()));
    }
    const stop = (error: unknown): void => {
      this.failure ??= { error }
      this.isOver = true
    }
    // All of them have ended when this one has, whatever became of them.
    await Promise.all(Array.from({ length: COMPARE_THREADS }, () => lane().catch(stop)))
  }

  /** Returns the last set that what differed went into; 0 when nothing did. */
  private async compare(offset: number, length: number): Promise<number> {
    const { locks, blocks } = this.setting
    const place = locks.take(offset, length, 'look')
    try {
      if (place.granted !== undefined) await place.granted
      const found = await blocks.differences(offset, length)
      this.bytesRead += length
      return found.length === 0 ? 0 : await this.send(found)
    } finally {
      place.release()
    }
  }

  private async send(found: Differences): Promise<number> {
    const { disk, writer, group } = this.setting
    const pieceBytes = Math.min(PIECE_BYTES, group.updateBytes)
    const sent: Promise<Receipt>[] = []
    const send = (receipt: Promise<Receipt>): void => {
      // It is looked at below, unless something else fails before.
      receipt.catch(() => {})
      sent.push(receipt)
    }
    for (let n = 0; n < found.length; n += 3) {
      const [offset, length, isZero] = found.subarray(n, n + 3) as unknown as [number, number, number]
      if (isZero === 1) {
        send(writer.zero(offset, length))
        continue
      }
      for (let at = offset; at < offset + length; at += pieceBytes) {
        const bytes = Buffer.allocUnsafe(Math.min(pieceBytes, offset + length - at))
        await disk.read(bytes, at)
        this.bytesSent += bytes.length
        send(writer.write(at, bytes))
      }
    }
    const receipts = await Promise.all(sent)
    const set = receipts.reduce((last, receipt) => Math.max(last, receipt.set), 0)
    this.lastSet = Math.max(this.lastSet, set)
    return set
  }

  /** Ranges end in any order; the cursor passes those that follow each other. */
  private note({ from, to }: Stretch, set: number): void {
    this.compared.set(from, { to, set })
    for (let next = this.compared.get(this.reached.at); next !== undefined; ) {
      this.compared.delete(this.reached.at)
      this.reached = { at: next.to, set: Math.max(this.reached.set, next.set) }
      next = this.compared.get(this.reached.at)
    }
    const { log, size } = this.setting
    if (this.moving !== undefined || this.reached.at - log.cursor < Math.max(SMALLEST_STEP, size / STEPS)) return
    this.moving = this.moveCursor(this.reached).finally(() => {
      this.moving = undefined
    })
    this.moving.catch((error: unknown) => {
      this.failure ??= { error }
      this.isOver = true
    })
  }

  /** What lies before the cursor is not looked at again: it must be applied first. */
  private async moveCursor({ at, set }: { at: number; set: number }): Promise<void> {
    const { group, log } = this.setting
    await group.whenApplied(set)
    await log.moveCursor(at, set)
  }

  private lengthOf(region: number): number {
    const { log, size } = this.setting
    return Math.min(log.regionBytes, size - region * log.regionBytes)
  }
}

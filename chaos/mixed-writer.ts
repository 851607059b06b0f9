import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PrimarySource, Receipt, VolumeWriter } from '../src/index.ts'
import { Random } from '../src/sim/random.ts'
import { SHARED_BEGIN, SHARED_BYTES } from './areas.ts'
import type { Gauges } from './gauges.ts'
import { fillPattern, wordOf } from './pattern.ts'
import { type Issue, ReceiptCheck } from './receipts.ts'
import type { PlacedUpdate, WriterReport, WriterSetting } from './writer-setting.ts'

/** Every engine has room for one of these in one record, whatever the memory: it has one place in the order. */
export const ONE_RECORD_BYTES = 900
const MOST_IN_FLIGHT = 32
const MOST_PARTS = 6
const LONGEST_BURST = 48

interface Update {
  readonly volume: number
  readonly offset: number
  readonly data: Uint8Array
  readonly word: number
  readonly isShared: boolean
}

/** Uses every call of a source, without pause, and knows what must come of it. */
export class MixedWriter {
  private readonly setting: WriterSetting
  private readonly gauges: Gauges
  private readonly random: Random
  private readonly receipts: ReceiptCheck
  private readonly reopen: (() => PrimarySource) | undefined
  private readonly own: Uint8Array[]
  private readonly shared: PlacedUpdate[] = []
  private readonly inFlight = new Set<Promise<void>>()
  private source: PrimarySource
  private drawn = 0
  private updates = 0
  private largeUpdates = 0
  /** Posted without a promise, not known to be acknowledged. */
  private unacknowledged = 0
  private failure: unknown

  /** @param reopen  opens the source again under its name, where that is possible */
  constructor(source: PrimarySource, setting: WriterSetting, gauges: Gauges, reopen?: () => PrimarySource) {
    this.source = source
    this.setting = setting
    this.gauges = gauges
    this.reopen = reopen
    this.random = new Random(setting.seed)
    this.receipts = new ReceiptCheck(setting.name, setting.mirrors, gauges)
    this.own = setting.volumes.map(() => new Uint8Array(setting.ownBytes))
  }

  async run(): Promise<WriterReport> {
    for (let calls = 1; !this.gauges.isStopping; calls++) {
      await this.call()
      // What is settled at once must not keep timers and other sources from their turn.
      if (calls % 8 === 0) await nextTurn()
    }
    await this.settle()
    const { setting, updates, largeUpdates, own, shared, receipts } = this
    return {
      index: setting.index,
      updates,
      largeUpdates,
      own,
      shared,
      cellSets: [],
      longestWaitMs: receipts.longestWaitMs
    }
  }

  private async call(): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    const choice = this.random.below(100)
    if (choice < 20) await this.write(this.ownUpdate())
    else if (choice < 45) await this.writeOn(this.ownUpdate())
    else if (choice < 55) await this.write(this.sharedUpdate())
    else if (choice < 70) await this.writeOn(this.sharedUpdate())
    else if (choice < 85) await this.burst()
    else if (choice < 96) await this.transaction()
    else if (choice < 99) await this.flush()
    else await this.openAgain()
  }

  private async write(update: Update): Promise<void> {
    const issue = this.receipts.issue()
    this.count(update)
    this.acknowledged([update], [await this.post(update)], issue)
  }

  /** Not awaited: the next call is made while this one is under way. */
  private async writeOn(update: Update): Promise<void> {
    this.follow(this.write(update))
    if (this.inFlight.size >= MOST_IN_FLIGHT) await Promise.race(this.inFlight)
  }

  private follow(call: Promise<void>): void {
    const followed: Promise<void> = call
      .catch((error: unknown) => {
        this.failure ??= error
      })
      .finally(() => this.inFlight.delete(followed))
    this.inFlight.add(followed)
  }

  private post({ volume, offset, data, word }: Update): Promise<Receipt> {
    const writer = this.volume(volume)
    return word === 0 ? writer.zero(offset, data.length) : writer.write(offset, data)
  }

  /** The hot path: no receipts, so only to its own area. */
  private async burst(): Promise<void> {
    for (let left = this.random.between(1, LONGEST_BURST); left > 0; left--) {
      const update = this.ownUpdate(false)
      const { offset, data } = update
      const writer = this.volume(update.volume)
      const began = performance.now()
      if (this.setting.inThread) writer.postSync(offset, data)
      else while (!writer.tryPost(offset, data)) await writer.ready(data.length)
      this.waited(began)
      this.count(update)
      this.unacknowledged++
    }
    if (this.random.chance(3)) await this.flush()
  }

  private waited(sinceMs: number): void {
    this.receipts.longestWaitMs = Math.max(this.receipts.longestWaitMs, performance.now() - sinceMs)
  }

  private async transaction(): Promise<void> {
    const parts = Array.from({ length: this.random.between(1, MOST_PARTS) }, () =>
      this.random.chance(3) ? this.sharedUpdate(false) : this.ownUpdate(false, ONE_RECORD_BYTES)
    )
    const issue = this.receipts.issue()
    for (const part of parts) this.count(part)
    const call = this.source
      .transaction(parts.map(({ volume, offset, data }) => ({ volume: this.nameOf(volume), offset, data })))
      .then((receipts) => this.acknowledged(parts, receipts, issue))
    if (this.random.chance(2)) await call
    else this.follow(call)
  }

  private async flush(): Promise<void> {
    const posted = this.unacknowledged
    const began = performance.now()
    if (this.setting.inThread) this.source.flushSync()
    else await this.source.flush()
    this.waited(began)
    this.unacknowledged -= posted
    this.gauges.addAcknowledged(this.setting.index, posted)
  }

  /** What was posted whole is kept when a source is closed, acknowledged or not. */
  private async openAgain(): Promise<void> {
    if (this.reopen === undefined || !this.random.chance(4)) return
    if (this.random.chance(2)) await this.settle()
    await this.source.close()
    await this.settleCalls()
    this.gauges.addAcknowledged(this.setting.index, this.unacknowledged)
    this.unacknowledged = 0
    this.source = this.reopen()
  }

  private async settle(): Promise<void> {
    await this.flush()
    await this.settleCalls()
  }

  private async settleCalls(): Promise<void> {
    await Promise.all(this.inFlight)
    if (this.failure !== undefined) throw this.failure
  }

  private acknowledged(updates: readonly Update[], receipts: readonly Receipt[], issue: Issue): void {
    const volumes = updates.map(({ volume }) => this.nameOf(volume))
    this.receipts.acknowledged(issue, receipts, volumes)
    this.gauges.addAcknowledged(this.setting.index, updates.length)
    for (const [n, { volume, offset, data, word, isShared }] of updates.entries()) {
      if (!isShared) continue
      const { set, sequence } = receipts[n] as Receipt
      this.shared.push({ volume, offset, length: data.length, word, set, sequence })
    }
  }

  /** It has been issued, in this order: what its own area holds follows. */
  private count({ volume, offset, data, isShared }: Update): void {
    this.updates++
    if (data.length > ONE_RECORD_BYTES) this.largeUpdates++
    if (!isShared) (this.own[volume] as Uint8Array).set(data, offset - this.setting.ownBegin)
  }

  private ownUpdate(mayZero = true, most = this.setting.largestBytes): Update {
    const { random, setting } = this
    const bound = random.chance(12) ? most : Math.min(most, random.pick([16, 64, 300, ONE_RECORD_BYTES]))
    return this.update(setting.ownBegin, setting.ownBytes, random.below(bound + 1), mayZero, false)
  }

  private sharedUpdate(mayZero = true): Update {
    return this.update(SHARED_BEGIN, SHARED_BYTES, this.random.between(1, ONE_RECORD_BYTES), mayZero, true)
  }

  private update(begin: number, bytes: number, length: number, mayZero: boolean, isShared: boolean): Update {
    const { random, setting } = this
    const volume = random.below(setting.volumes.length)
    const offset = begin + random.below(bytes - length + 1)
    const word = mayZero && random.chance(10) ? 0 : wordOf(setting.index, ++this.drawn)
    const data = new Uint8Array(length)
    fillPattern(data, word, offset)
    return { volume, offset, data, word, isShared }
  }

  private volume(index: number): VolumeWriter {
    return this.source.volume(this.nameOf(index))
  }

  private nameOf(volume: number): string {
    return this.setting.volumes[volume] as string
  }
}

import { threadId } from 'node:worker_threads'
import { TidemarkError } from './errors.ts'
import { Board } from './memory/board.ts'
import { clockMicroseconds } from './memory/clock.ts'
import { FLAG_MORE, FLAG_RECEIPT, FLAG_SAMPLED } from './memory/record.ts'
import {
  SOURCE_ABANDONED,
  SOURCE_CLOSED,
  SOURCE_CLOSING,
  SOURCE_OPEN,
  SOURCE_SUSPENDED,
  type SourceLayout,
  SourceMemory
} from './memory/source-memory.ts'
import { SourceWriter } from './memory/source-writer.ts'
import { type Part, type Pending, readReceipt, type Settle, type Waiting } from './source-calls.ts'
import { type GroupFacts, openPort, partsFor, type SourceLimits, sourceLimits } from './source-port.ts'
import type { PrimarySource, Receipt, SourcePort, VolumeWriter } from './types.ts'
import { asBytes, RingVolumeWriter } from './volume-writer.ts'

/** One of so many updates is timed. */
const ONE_IN = 64
export const SAMPLE_ONE_IN = ONE_IN

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const MORE = FLAG_MORE
const SAMPLED = FLAG_SAMPLED
const OPEN = SOURCE_OPEN

export interface SourceHost {
  readonly facts: GroupFacts
  /** The forming set, whole, roughly: what low bits are expanded with. */
  near(): number
  /** Whether a pending call keeps this thread alive by itself. */
  readonly keepsAlive: boolean
}

/** A primary source: puts updates into its ring, learns from the acknowledged position what is held. */
export class RingSource implements PrimarySource {
  readonly name: string
  readonly memory: SourceMemory
  private readonly writer: SourceWriter
  private readonly board: Board
  private readonly host: SourceHost
  private readonly limits: SourceLimits
  private readonly writers = new Map<string, RingVolumeWriter>()
  private readonly pending: Pending[] = []
  private pendingAt = 0
  private readonly waiting: Waiting[] = []
  private readonly roomWaiters: { length: number; resolve: () => void; reject: (error: Error) => void }[] = []
  private closers: (() => void)[] = []
  private armed = false
  private alive: NodeJS.Timeout | undefined
  private puts = 0

  constructor(name: string, buffer: SharedArrayBuffer, layout: SourceLayout, host: SourceHost) {
    this.name = name
    this.host = host
    this.memory = new SourceMemory(buffer, layout)
    this.writer = new SourceWriter(this.memory)
    this.board = new Board(host.facts.board, host.facts.boardLayout)
    this.limits = sourceLimits(host.facts, layout)
  }

  volume(name: string): VolumeWriter {
    const known = this.writers.get(name)
    if (known !== undefined) return known
    const index = this.host.facts.volumes.findIndex((volume) => volume.name === name)
    const facts = this.host.facts.volumes[index]
    if (facts === undefined) {
      throw new TidemarkError('TIDEMARK_UNKNOWN_VOLUME', `there is no volume '${String(name)}'`, { volume: name })
    }
    const writer = new RingVolumeWriter(this, index, facts.name, facts.size)
    this.writers.set(name, writer)
    return writer
  }

  async transaction(updates: { volume: string; offset: number; data: ArrayBufferView }[]): Promise<Receipt[]> {
    this.checkOpen()
    const parts = updates.map(({ volume, offset, data }) => {
      const writer = this.volume(volume) as RingVolumeWriter
      const bytes = asBytes(data)
      writer.check(offset, bytes.length)
      return { volume: writer.index, offset, length: bytes.length, data: bytes }
    })
    if (parts.length === 0) return []
    this.checkSize(parts)
    return this.post(parts)
  }

  async flush(): Promise<void> {
    await this.post([])
  }

  flushSync(): void {
    while (this.waiting.length > 0 || this.memory.loadReleased() !== this.writer.next) {
      this.checkUsable()
      this.settleAcknowledged()
      this.postWaiting()
      // As it was when those were tried: what was acknowledged since may be all that ever will be.
      const { acknowledged } = this.writer
      if (this.waiting.length > 0 || acknowledged !== this.writer.next) this.sleepWhileAt(acknowledged)
    }
    this.settleAcknowledged()
  }

  async close(): Promise<void> {
    const { memory } = this
    if (memory.loadState() === OPEN && this.waiting.length > 0) await this.flush()
    if (memory.leaveOpen(SOURCE_CLOSING)) this.wakeComponent()
    while (memory.loadState() === SOURCE_CLOSING) {
      await new Promise<void>((resolve) => {
        this.closers.push(resolve)
        this.arm()
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // Called by the volume writers.

  /** Puts what was asked, or waits in line; `data` was not copied yet. Zero parts: a flush. */
  post(parts: readonly Part[]): Promise<Receipt[]> {
    this.checkOpen()
    return new Promise((resolve, reject) => {
      const settle = { resolve, reject }
      if (this.waiting.length > 0 || !this.put(parts, settle)) {
        // The caller may reuse its memory as soon as we return. (A Buffer's own `slice` would not copy.)
        const kept = parts.map((part) =>
          part.data === undefined ? part : { ...part, data: new Uint8Array(part.data) }
        )
        this.waiting.push({ parts: kept, settle })
      }
      this.arm()
    })
  }

  /** Without a promise: false when there is no room, or while earlier calls wait. */
  tryPut(volume: number, offset: number, data: Uint8Array): boolean {
    if (this.waiting.length > 0) return false
    if (data.length > this.limits.recordData) return this.tryPutSplit(volume, offset, data)
    this.puts = (this.puts + 1) | 0
    const sampled = this.puts % ONE_IN === 0 ? SAMPLED : 0
    const stamped = sampled === 0 ? 0 : stamp()
    if (!this.writer.put(volume, offset, data, 0, data.length, sampled, stamped)) {
      if (!this.settleAcknowledged()) return false
      if (!this.writer.put(volume, offset, data, 0, data.length, sampled, stamped)) return false
    }
    if (this.writer.publish()) this.wakeComponent()
    return true
  }

  /** Waits in this thread until it is put. */
  putSync(volume: number, offset: number, data: Uint8Array): void {
    for (;;) {
      if (this.tryPut(volume, offset, data)) return
      this.checkUsable()
      const isMore = this.settleAcknowledged()
      this.postWaiting()
      // It was acknowledged after it was tried: there may be room, and that may have been the last that is ever acknowledged.
      if (!isMore) this.sleepWhileAt(this.writer.acknowledged)
    }
  }

  async ready(length: number | undefined): Promise<void> {
    this.checkOpen()
    const wanted = length ?? this.limits.recordData
    this.checkSize([{ volume: 0, offset: 0, length: wanted, data: undefined }], true)
    if (this.waiting.length === 0 && this.fits(wanted)) return
    await new Promise<void>((resolve, reject) => {
      this.roomWaiters.push({ length: wanted, resolve, reject })
      this.arm()
    })
  }

  /** @throws TIDEMARK_TOO_LARGE where the update or transaction can never fit */
  checkSize(parts: readonly Part[], countsZeros = false): void {
    let bytes = 0
    let records = 0
    for (const part of parts) {
      const needs = partsFor(part.data === undefined && !countsZeros ? 8 : part.length, this.limits)
      bytes += needs.bytes
      records += needs.parts
    }
    const { transactionBytes, transactionParts } = this.limits
    if (bytes <= transactionBytes && records <= transactionParts) return
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    throw new TidemarkError(
      'TIDEMARK_TOO_LARGE',
      `an update of ${length} bytes in ${parts.length} parts does not fit: at most ${transactionBytes} bytes with headers ` +
        `and ${transactionParts} records go into this source's ring and a component's share at once`,
      { length, parts: parts.length, largestBytes: transactionBytes, largestRecords: transactionParts }
    )
  }

  checkOpen(): void {
    const state = this.memory.peekState()
    if (state !== OPEN) throw this.stateError(state)
  }

  // The rest is the source's own.

  private checkUsable(): void {
    const state = this.memory.loadState()
    if (state !== OPEN && state !== SOURCE_CLOSING) throw this.stateError(state)
  }

  private stateError(state: number): TidemarkError {
    const details = { source: this.name }
    if (state === SOURCE_SUSPENDED) {
      return new TidemarkError('TIDEMARK_SUSPENDED', `source '${this.name}': the group is suspended`, details)
    }
    return new TidemarkError('TIDEMARK_CLOSED', `source '${this.name}' is closed`, details)
  }

  /** All parts, or nothing: then there was no room. Its promise waits for the last of them. */
  private put(parts: readonly Part[], settle: Settle): boolean {
    const lasts: number[] = []
    if (!this.putRecords(parts, FLAG_RECEIPT, lasts)) return false
    this.pending.push({ last: (this.writer.next - 1) | 0, lasts, parts, settle })
    if (parts.length === 0) return true
    if (this.writer.publish()) this.wakeComponent()
    return true
  }

  private tryPutSplit(volume: number, offset: number, data: Uint8Array): boolean {
    const part = { volume, offset, length: data.length, data }
    this.checkSize([part])
    if (!this.putRecords([part], 0, [])) return false
    if (this.writer.publish()) this.wakeComponent()
    return true
  }

  /** @param lasts  gets each part's last ordinal */
  private putRecords(parts: readonly Part[], flag: number, lasts: number[]): boolean {
    if (this.putAll(parts, flag, lasts)) return true
    return this.settleAcknowledged() && this.putAll(parts, flag, lasts)
  }

  private putAll(parts: readonly Part[], flag: number, lasts: number[]): boolean {
    const { writer, limits } = this
    lasts.length = 0
    writer.mark()
    for (let n = 0; n < parts.length; n++) {
      const part = parts[n] as Part
      const more = n < parts.length - 1 ? MORE : 0
      if (
        !(part.data === undefined ? this.putZero(part, flag | more) : this.putData(part, part.data, flag, more, limits))
      ) {
        writer.rollback()
        return false
      }
      lasts.push((writer.next - 1) | 0)
    }
    return true
  }

  private putZero(part: Part, flags: number): boolean {
    return this.writer.putZero(part.volume, part.offset, part.length, flags, 0)
  }

  /** Larger updates go in several records that are taken, and acknowledged, as one. */
  private putData(part: Part, data: Uint8Array, flag: number, more: number, limits: SourceLimits): boolean {
    let at = 0
    do {
      const length = Math.min(limits.recordData, part.length - at)
      const isLast = at + length === part.length
      const sampled = ++this.puts % ONE_IN === 0 ? SAMPLED : 0
      const flags = sampled | (isLast ? flag | more : MORE)
      const stamped = sampled === 0 ? 0 : stamp()
      if (!this.writer.put(part.volume, part.offset + at, data, at, length, flags, stamped)) return false
      at += length
    } while (at < part.length)
    return true
  }

  private fits(length: number): boolean {
    const { recordData } = this.limits
    this.writer.mark()
    let fits = true
    for (let at = 0; fits && at < Math.max(1, length); at += recordData) {
      fits = this.writer.putRoom(Math.min(recordData, length - at))
    }
    this.writer.rollback()
    return fits
  }

  private wakeComponent(): void {
    this.board.parking[this.memory.loadAttached()]?.wake()
  }

  /** Until more than that is acknowledged. No closure: who makes one allocates for it at each call, used or not. */
  private sleepWhileAt(acknowledged: number): void {
    const { parking } = this.memory
    parking.prepare()
    const state = this.memory.loadState()
    const isUsable = state === OPEN || state === SOURCE_CLOSING
    if (isUsable && this.memory.loadReleased() === acknowledged) parking.sleep()
    else parking.cancel()
  }

  /**
   * Resolves what is acknowledged: receipts are read before the ring uses their places again. True if there may be more room
   * than before.
   */
  private settleAcknowledged(): boolean {
    const before = this.writer.acknowledged
    const released = this.writer.refresh()
    while (this.pendingAt < this.pending.length) {
      const call = this.pending[this.pendingAt] as Pending
      if (((released - call.last) | 0) <= 0) break
      this.pendingAt++
      call.settle.resolve(
        call.parts.map(({ volume }, n) => {
          const { name } = this.host.facts.volumes[volume] as { readonly name: string }
          return readReceipt(this.memory, this.board, call.lasts[n] as number, name, this.host.near())
        })
      )
    }
    if (this.pendingAt > 1024 || this.pendingAt === this.pending.length) {
      this.pending.splice(0, this.pendingAt)
      this.pendingAt = 0
    }
    return released !== before
  }

  private postWaiting(): void {
    let posted = 0
    while (posted < this.waiting.length) {
      const { parts, settle } = this.waiting[posted] as Waiting
      if (!this.put(parts, settle)) break
      posted++
    }
    if (posted > 0) this.waiting.splice(0, posted)
  }

  private get isIdle(): boolean {
    return (
      this.pendingAt === this.pending.length &&
      this.waiting.length === 0 &&
      this.roomWaiters.length === 0 &&
      this.closers.length === 0
    )
  }

  /** Sees to it that `progress` runs when the acknowledged position or the state has changed. */
  private arm(): void {
    if (this.armed || this.isIdle) return
    this.armed = true
    if (this.host.keepsAlive && this.alive === undefined) this.alive = setInterval(() => {}, 2 ** 30)
    queueMicrotask(() => this.sleepAsync())
  }

  private sleepAsync(): void {
    const { parking } = this.memory
    parking.prepare()
    // Looked at after it was said that we sleep: a change from now on wakes.
    this.progress()
    if (this.isIdle) {
      parking.cancel()
      this.armed = false
      clearInterval(this.alive)
      this.alive = undefined
      return
    }
    const woken = parking.sleepAsync()
    if (woken === null) setImmediate(() => this.sleepAsync())
    else woken.then(() => this.sleepAsync())
  }

  private progress(): void {
    this.settleAcknowledged()
    this.postWaiting()
    const state = this.memory.loadState()
    if (state === SOURCE_SUSPENDED || state === SOURCE_CLOSED || state === SOURCE_ABANDONED) this.rejectAll(state)
    while (this.roomWaiters[0] !== undefined && this.waiting.length === 0 && this.fits(this.roomWaiters[0].length)) {
      this.roomWaiters.shift()?.resolve()
    }
    if (state !== OPEN && state !== SOURCE_CLOSING) {
      for (const closed of this.closers.splice(0)) closed()
    }
  }

  private rejectAll(state: number): void {
    this.settleAcknowledged()
    const error = this.stateError(state)
    for (const call of this.pending.splice(0).slice(this.pendingAt)) call.settle.reject(error)
    this.pendingAt = 0
    for (const call of this.waiting.splice(0)) call.settle.reject(error)
    for (const waiter of this.roomWaiters.splice(0)) waiter.reject(error)
  }
}

/** Low 32 bits of the clock in microseconds, as components read it. */
function stamp(): number {
  return clockMicroseconds() | 0
}

/** In another thread of the host: a source over a port made by `group.exportSource`. Attaches once. */
export function attachSource(port: SourcePort): PrimarySource {
  const { name, buffer, layout, facts } = openPort(port)
  const board = new Board(facts.board, facts.boardLayout)
  const source = new RingSource(name, buffer, layout, {
    facts,
    near: () => board.loadNear(),
    keepsAlive: true
  })
  if (!source.memory.claim()) {
    throw new TidemarkError('TIDEMARK_LOCKED', `source '${name}' has been attached already`, { source: name })
  }
  source.memory.storeOwner(threadId)
  // Once in a thread. A message to a thread that listens to none would be refused, as to one that has ended.
  if (!process.listeners('workerMessage').includes(beThere)) process.on('workerMessage', beThere)
  return source
}

/** The group asks now and then whether this thread is still there; that it listens is the answer. */
function beThere(): void {}

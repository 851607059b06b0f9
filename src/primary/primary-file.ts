import { TidemarkError } from '../errors.ts'
import type { PrimaryFile, PrimarySource, Receipt, VolumeWriter } from '../types.ts'
import type { ActivityLog } from './activity-log.ts'
import type { GroupSide, PrimaryVolume } from './group-side.ts'
import type { RangeLocks } from './range-locks.ts'
import type { Synchronisation } from './synchronisation.ts'
import type { VolumeDisk } from './volume-file.ts'

export interface PrimaryFileParts {
  readonly volume: PrimaryVolume
  readonly path: string
  readonly disk: VolumeDisk
  readonly log: ActivityLog
  readonly locks: RangeLocks
  readonly source: PrimarySource
  readonly group: GroupSide
  readonly synchronisation: Synchronisation
  /** Modification time of the file as it is now. */
  changedAtMs(): Promise<number>
  /** Nothing uses the file any more. @param lastSet  with anything of it */
  onClosed(lastSet: number): void
}

/** A primary volume that is a file: each write goes to the file and to the group (docs/primary-files.md). */
export class ForkedFile implements PrimaryFile {
  readonly volume: string
  readonly parts: PrimaryFileParts
  private readonly writer: VolumeWriter
  private readonly underWay = new Set<Promise<unknown>>()
  private lastSet = 0
  private broken: unknown
  private quieting: Promise<void> | undefined
  private closing: Promise<void> | undefined

  constructor(parts: PrimaryFileParts) {
    this.parts = parts
    this.volume = parts.volume.name
    this.writer = parts.source.volume(parts.volume.name)
    parts.synchronisation.ended.catch((error: unknown) => {
      if (this.quieting === undefined) parts.group.warn(this.said('could not be synchronised', error))
    })
  }

  get synchronisation(): PrimaryFile['synchronisation'] {
    return this.parts.synchronisation.report
  }

  async synchronised(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    const { ended } = this.parts.synchronisation
    if (signal === undefined) await ended
    else await Promise.race([ended, aborted(signal)])
    if (this.synchronisation.state !== 'done') throw this.closedError()
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    this.checkOpen()
    if (!(target instanceof Uint8Array)) throw refused('target must be a Uint8Array', 'target')
    this.checkRange(offset, target.length)
    await this.track(this.look(offset, target))
  }

  async write(offset: number, data: ArrayBufferView): Promise<Receipt> {
    this.checkWritable()
    if (!ArrayBuffer.isView(data)) throw refused('data must be an ArrayBufferView', 'data')
    this.checkRange(offset, data.byteLength)
    // Both sides must get the same bytes, whatever the caller does with them meanwhile.
    const bytes = new Uint8Array(data.byteLength)
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    return this.track(this.change(offset, bytes.length, bytes))
  }

  async zero(offset: number, length: number): Promise<Receipt> {
    this.checkWritable()
    this.checkRange(offset, length)
    return this.track(this.change(offset, length, undefined))
  }

  async sync(): Promise<void> {
    this.checkWritable()
    await this.track(this.syncAll([...this.underWay]))
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Nothing is taken any more; resolves when nothing is under way. */
  quiet(): Promise<void> {
    this.parts.synchronisation.stopUnlessWhole()
    this.quieting ??= Promise.allSettled([...this.underWay, this.parts.synchronisation.ended]).then(() => {})
    return this.quieting
  }

  /** The group has ended: what is applied now is applied. */
  closeWithGroup(): Promise<void> {
    this.parts.synchronisation.stop()
    this.closing ??= this.quiet().then(() => this.finish())
    return this.closing
  }

  /** File and group may differ, or the file cannot be trusted: no more changes. What is in the log stays there. */
  fail(error: unknown): void {
    this.broken ??= error
  }

  private async closeOnce(): Promise<void> {
    const { group, source } = this.parts
    await this.quiet()
    const last = Math.max(this.lastSet, this.parts.synchronisation.sentSet)
    if (last > group.appliedSet) {
      // A group that has closed meanwhile applies what it has; one that is suspended never will.
      await group.closeSet().catch(() => {})
      await group.whenApplied(last).catch(() => {})
    }
    await source.close()
    await this.finish()
  }

  private async finish(): Promise<void> {
    const { log, disk, group, changedAtMs, onClosed } = this.parts
    try {
      if (this.broken === undefined) await log.finish(group.appliedSet, changedAtMs)
    } catch (error) {
      group.warn(this.said('was closed without its activity log, and is compared at the next opening', error))
    } finally {
      await log.close(this.closedError())
      await disk.close()
      onClosed(Math.max(this.lastSet, this.parts.synchronisation.sentSet))
    }
  }

  private async look(offset: number, target: Uint8Array): Promise<void> {
    const place = this.parts.locks.take(offset, target.length, 'look')
    try {
      if (place.granted !== undefined) await place.granted
      await this.parts.disk.read(target, offset)
    } finally {
      place.release()
    }
  }

  /** One place among overlapping calls for all of it; then piece after piece. */
  private async change(offset: number, length: number, bytes: Uint8Array | undefined): Promise<Receipt> {
    // Now, not later: calls take effect in their order.
    const place = this.parts.locks.take(offset, length, 'change')
    try {
      if (place.granted !== undefined) await place.granted
      if (length === 0) return await this.writer.write(offset, new Uint8Array(0))
      const { log, group } = this.parts
      const pieceBytes = bytes === undefined ? (log.limit >>> 2) * log.regionBytes : group.updateBytes
      let receipt: Receipt | undefined
      for (let at = 0; at < length; at += pieceBytes) {
        const part = Math.min(pieceBytes, length - at)
        receipt = await this.changePiece(offset + at, part, bytes?.subarray(at, at + part))
      }
      return receipt as Receipt
    } finally {
      place.release()
    }
  }

  private async changePiece(offset: number, length: number, bytes: Uint8Array | undefined): Promise<Receipt> {
    const { log, group } = this.parts
    const first = Math.floor(offset / log.regionBytes)
    const last = Math.floor((offset + length - 1) / log.regionBytes)
    const entered = log.enter(first, last)
    if (entered !== undefined) await entered
    let set: number | undefined
    try {
      // A group that takes nothing more is not a reason to change the file.
      if (this.broken !== undefined) throw this.brokenError()
      group.checkOpen()
    } catch (error) {
      // Nothing was touched: as if it had been written long ago.
      log.leave(first, last, 0)
      throw error
    }
    try {
      const receipt = await this.fork(offset, length, bytes, (found) => {
        set = found
        this.lastSet = Math.max(this.lastSet, found)
      })
      return receipt
    } catch (error) {
      if (set === undefined) this.fail(error)
      throw error
    } finally {
      log.leave(first, last, set)
    }
  }

  /** To the group and to the file, at once. @param onAgreed  both sides hold the same, in this set at the latest */
  private async fork(
    offset: number,
    length: number,
    bytes: Uint8Array | undefined,
    onAgreed: (set: number) => void
  ): Promise<Receipt> {
    const { disk } = this.parts
    const posted = bytes === undefined ? this.writer.zero(offset, length) : this.writer.write(offset, bytes)
    const filed = bytes === undefined ? disk.zero(offset, length) : disk.write(bytes, offset)
    const [group, file] = await Promise.allSettled([posted, filed])
    if (group.status === 'rejected') throw group.reason
    if (file.status === 'rejected') {
      onAgreed(await this.sendWhatIsThere(offset, length))
      throw file.reason
    }
    onAgreed(group.value.set)
    return group.value
  }

  /** The file has taken some of it, or nothing: the group gets what is there. */
  private async sendWhatIsThere(offset: number, length: number): Promise<number> {
    const { disk, group } = this.parts
    let set = 0
    for (let at = 0; at < length; at += group.updateBytes) {
      const bytes = new Uint8Array(Math.min(group.updateBytes, length - at))
      await disk.read(bytes, offset + at)
      set = (await this.writer.write(offset + at, bytes)).set
    }
    return set
  }

  private async syncAll(before: readonly Promise<unknown>[]): Promise<void> {
    await Promise.allSettled(before)
    try {
      await this.parts.disk.sync()
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  private track<T>(call: Promise<T>): Promise<T> {
    this.underWay.add(call)
    const done = (): void => {
      this.underWay.delete(call)
    }
    call.then(done, done)
    return call
  }

  /** @throws TidemarkError TIDEMARK_CLOSED */
  checkOpen(): void {
    if (this.quieting !== undefined) throw this.closedError()
  }

  private checkWritable(): void {
    this.checkOpen()
    if (this.broken !== undefined) throw this.brokenError()
    this.parts.group.checkOpen()
  }

  private checkRange(offset: number, length: number): void {
    const { name, size } = this.parts.volume
    const isWhole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
    if (isWhole && offset >= 0 && length >= 0 && offset + length <= size) return
    const message = `volume '${name}' has ${size} bytes: offset ${offset}, length ${length} is not a range of it`
    throw new TidemarkError('TIDEMARK_OUT_OF_RANGE', message, { volume: name, size, offset, length })
  }

  private closedError(): TidemarkError {
    const message = `the primary file of volume '${this.volume}' is closed`
    return new TidemarkError('TIDEMARK_CLOSED', message, { volume: this.volume, path: this.parts.path })
  }

  private brokenError(): TidemarkError {
    return this.said('takes no more changes, open it again', this.broken)
  }

  private said(what: string, cause: unknown): TidemarkError {
    const code = cause instanceof TidemarkError ? cause.code : 'TIDEMARK_CORRUPT'
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `the primary file of volume '${this.volume}' ${what}: ${reason}`
    return new TidemarkError(code, message, { volume: this.volume, path: this.parts.path }, { cause })
  }
}

function refused(message: string, option: string): TidemarkError {
  return new TidemarkError('TIDEMARK_OPTIONS', message, { option })
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

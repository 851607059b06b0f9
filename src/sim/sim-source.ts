import { FLAG_MORE, FLAG_RECEIPT, FLAG_SAMPLED, recordBytesFor } from '../memory/record.ts'
import { SOURCE_CLOSING, type SourceMemory } from '../memory/source-memory.ts'
import { SourceWriter } from '../memory/source-writer.ts'
import type { Checker } from './checker.ts'
import type { Primary } from './primary.ts'
import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'

/** An update that a script posts. */
export interface ScriptedWrite {
  readonly volume: number
  readonly offset: number
  readonly text: string
  /** It is posted when so many sets have been applied. */
  readonly afterSets?: number
}

export interface ScriptedSource {
  /** The slot that it is attached to at the beginning. */
  readonly attached: number
  readonly writes: readonly ScriptedWrite[]
}

const BLOCK_BYTES = 16

export interface SimSourceSetting {
  readonly id: number
  readonly memory: SourceMemory
  readonly random: Random
  readonly scenario: Scenario
  readonly checker: Checker
  readonly primary: Primary
  /** What it posts, one a turn, instead of what chance says. */
  readonly script: readonly ScriptedWrite[] | undefined
}

/** A primary source that writes what chance says: single updates, zeros, transactions, sometimes after awaiting all before. */
export class SimSource {
  readonly id: number
  readonly memory: SourceMemory
  stopped = false
  transactions = 0
  private readonly writer: SourceWriter
  private readonly random: Random
  private readonly scenario: Scenario
  private readonly script: readonly ScriptedWrite[] | undefined
  private readonly checker: Checker
  private readonly primary: Primary
  private position = 0
  private published = 0
  private awaiting = false

  constructor(setting: SimSourceSetting) {
    this.id = setting.id
    this.memory = setting.memory
    this.writer = new SourceWriter(setting.memory)
    this.random = setting.random
    this.scenario = setting.scenario
    this.script = setting.script
    this.checker = setting.checker
    this.primary = setting.primary
  }

  get posted(): number {
    return this.position
  }
  get isDone(): boolean {
    if (this.script !== undefined && this.position < this.script.length) return false
    return this.memory.loadReleased() === this.writer.next
  }

  /** One turn; true if it posted something. */
  step(): boolean {
    const { random } = this
    if (this.script !== undefined) return this.postScripted(this.script)
    if (this.awaiting) {
      if (!this.isDone) return false
      this.awaiting = false
    }
    if (this.stopped || !random.chance(this.scenario.eagerness)) return false
    this.writer.refresh()
    if (random.chance(3)) this.awaiting = true
    const posted = random.chance(4) ? this.postTransaction() : this.postOne()
    if (posted) this.publish()
    return posted
  }

  close(): void {
    this.stopped = true
    this.memory.storeState(SOURCE_CLOSING)
  }

  /** A script is posted to its end also when everything shall come to its end. */
  private postScripted(script: readonly ScriptedWrite[]): boolean {
    const write = script[this.position]
    if (write === undefined || this.checker.appliedSets < (write.afterSets ?? 0)) return false
    this.writer.refresh()
    this.writer.mark()
    const { volume, offset } = write
    const data = new TextEncoder().encode(write.text)
    if (!this.writer.put(volume, offset, data, 0, data.length, 0, 1)) return false
    this.checker.put(this.id, this.position, { volume, offset, length: data.length, data, more: false })
    this.position++
    this.publish()
    return true
  }

  private publish(): void {
    this.checker.issued(this.id, this.position)
    this.primary.write(this.checker.putSince(this.id, this.published, this.position), () => this.writer.publish())
    this.published = this.position
  }

  private postOne(): boolean {
    this.writer.mark()
    return this.put(0)
  }

  private postTransaction(): boolean {
    const parts = this.random.between(2, this.scenario.largestTransaction)
    this.writer.mark()
    const before = this.position
    let bytes = 0
    for (let n = 0; n < parts; n++) {
      const last = n === parts - 1 || bytes + 2 * recordBytesFor(this.scenario.largestUpdate) > this.limit
      if (!this.put(last ? 0 : FLAG_MORE)) {
        this.writer.rollback()
        this.checker.forget(this.id, before)
        this.position = before
        return false
      }
      bytes += recordBytesFor(this.scenario.largestUpdate)
      if (last) break
    }
    this.transactions++
    return true
  }

  private get limit(): number {
    return Math.min(this.scenario.transactionBytes, this.memory.bodyBytes / 2)
  }

  /**
   * Where it writes. What is fetched again shows the last writer of each byte in the primary: sources that wrote the same
   * bytes without waiting for each other would be in another order there.
   */
  private range(): [number, number] {
    const { metadataOnly, volumeBytes, sources } = this.scenario
    if (!metadataOnly) return [0, volumeBytes]
    const share = Math.floor(volumeBytes / sources)
    return [this.id * share, (this.id + 1) * share]
  }

  private put(flags: number): boolean {
    const { random, scenario } = this
    const volume = random.below(scenario.volumes)
    const [from, to] = this.range()
    const length = random.between(1, Math.min(scenario.largestUpdate, to - from))
    const place = random.below(to - from - length + 1)
    // Every other volume is written in blocks: they overwrite each other from the same place on.
    const offset = from + (volume % 2 === 0 ? place - (place % BLOCK_BYTES) : place)
    const all = flags | (random.chance(3) ? FLAG_RECEIPT : 0) | (random.chance(5) ? FLAG_SAMPLED : 0)
    const isZero = random.chance(6)
    const data = isZero ? undefined : new Uint8Array(length).map(() => random.bits())
    const put =
      data === undefined
        ? this.writer.putZero(volume, offset, length, all, 1)
        : this.writer.put(volume, offset, data, 0, length, all, 1)
    if (!put) return false
    this.checker.put(this.id, this.position, { volume, offset, length, data, more: (flags & FLAG_MORE) !== 0 })
    this.position++
    return true
  }
}

import { FLAG_MORE, FLAG_RECEIPT, FLAG_SAMPLED, recordBytesFor } from '../memory/record.ts'
import { SOURCE_CLOSING, type SourceMemory } from '../memory/source-memory.ts'
import { SourceWriter } from '../memory/source-writer.ts'
import type { Checker } from './checker.ts'
import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'

/** A primary source that writes what chance says: single updates, zeros, transactions, sometimes after awaiting all before. */
export class SimSource {
  readonly id: number
  readonly memory: SourceMemory
  stopped = false
  transactions = 0
  private readonly writer: SourceWriter
  private readonly random: Random
  private readonly scenario: Scenario
  private readonly checker: Checker
  private position = 0
  private awaiting = false

  constructor(id: number, memory: SourceMemory, random: Random, scenario: Scenario, checker: Checker) {
    this.id = id
    this.memory = memory
    this.writer = new SourceWriter(memory)
    this.random = random
    this.scenario = scenario
    this.checker = checker
  }

  get posted(): number {
    return this.position
  }
  get isDone(): boolean {
    return this.memory.loadReleased() === this.writer.next
  }

  /** One turn; true if it posted something. */
  step(): boolean {
    const { random } = this
    if (this.awaiting) {
      if (!this.isDone) return false
      this.awaiting = false
    }
    if (this.stopped || !random.chance(this.scenario.eagerness)) return false
    this.writer.refresh()
    if (random.chance(3)) this.awaiting = true
    const posted = random.chance(4) ? this.postTransaction() : this.postOne()
    if (posted) {
      this.checker.issued(this.id, this.position)
      this.writer.publish()
    }
    return posted
  }

  close(): void {
    this.stopped = true
    this.memory.storeState(SOURCE_CLOSING)
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

  private put(flags: number): boolean {
    const { random, scenario } = this
    const volume = random.below(scenario.volumes)
    const length = random.between(1, Math.min(scenario.largestUpdate, scenario.volumeBytes))
    const offset = random.below(scenario.volumeBytes - length + 1)
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

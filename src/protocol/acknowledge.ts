import type { Arena } from '../memory/arena.ts'
import { FLAG_MORE, FLAG_RECEIPT, FLAG_SAMPLED, RECORD_HOLDERS, RECORD_SEQUENCE, RECORD_SET } from '../memory/record.ts'
import type { OutLink } from './out-link.ts'
import { isAfter } from './set-identifier.ts'
import { arenaOf, type Setting } from './setting.ts'
import type { SourceIntake } from './source-intake.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const MORE = FLAG_MORE
const RECEIPT = FLAG_RECEIPT
const SAMPLED = FLAG_SAMPLED
const HOLDERS = RECORD_HOLDERS
const SEQUENCE = RECORD_SEQUENCE
const SET = RECORD_SET

/**
 * Acknowledge in order: a source's position moves past an update only when all before it are held by mirrors+1 components,
 * and past a transaction only as a whole. What the source must know is written first, the position last, in one store.
 */
export class Acknowledger {
  private readonly setting: Setting
  private readonly outs: readonly OutLink[]
  private readonly arena: Arena

  constructor(setting: Setting, outs: readonly OutLink[]) {
    this.setting = setting
    this.outs = outs
    this.arena = arenaOf(setting, setting.slot)
  }

  /** Returns how many updates it acknowledged. */
  acknowledge(intake: SourceIntake): number {
    const { outs } = this
    let { settled } = intake
    if (settled === intake.taken) return 0
    const { taken } = intake
    let boundary = intake.acknowledged
    while (settled !== taken && intake.isHeld(settled, outs)) {
      const flags = intake.noticedOf(settled)
      if (intake.beginsAt(settled)) intake.memory.storeSetBegin(intake.beginNext(), settled)
      if ((flags & (RECEIPT | SAMPLED)) !== 0) this.writeReceipt(intake, settled, flags)
      settled = (settled + 1) | 0
      if ((flags & MORE) === 0) boundary = settled
    }
    intake.settled = settled
    const count = (boundary - intake.acknowledged) | 0
    if (count === 0) return 0
    intake.acknowledged = boundary
    intake.memory.release(boundary)
    intake.memory.parking.wake()
    return count
  }

  /** The earliest set of what was taken and is not acknowledged; `forming` when there is no such update. */
  oldestSet(intakes: readonly SourceIntake[], forming: number): number {
    let oldest = forming
    for (const intake of intakes) {
      if (intake.acknowledged === intake.taken) continue
      const own = intake.copyOf(intake.acknowledged)
      const set = this.arena.ints[(own >>> 2) + SET] as number
      if (isAfter(oldest, set)) oldest = set
    }
    return oldest
  }

  private writeReceipt(intake: SourceIntake, ordinal: number, flags: number): void {
    const { memory } = intake
    const own = intake.copyOf(ordinal)
    const at = memory.entries[ordinal & memory.mask] as number
    const word = (at >>> 2) + SET
    if ((flags & SAMPLED) !== 0) {
      const { board, slot, surroundings } = this.setting
      board.addSample(slot, ((surroundings.clock() | 0) - (memory.ints[word] as number)) | 0)
    }
    if ((flags & RECEIPT) === 0) return
    memory.ints[word] = this.arena.ints[(own >>> 2) + SET] as number
    memory.floats[(at >>> 3) + SEQUENCE] = this.arena.floats[(own >>> 3) + SEQUENCE] as number
    const copy = (own >>> 2) + HOLDERS
    memory.ints[(at >>> 2) + HOLDERS] = this.arena.ints[copy] as number
    memory.ints[(at >>> 2) + HOLDERS + 1] = this.arena.ints[copy + 1] as number
  }
}

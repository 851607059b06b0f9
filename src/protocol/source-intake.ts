import { FLAG_MORE, FLAG_RECEIPT, FLAG_SAMPLED } from '../memory/record.ts'
import { SET_WINDOW, type SourceMemory } from '../memory/source-memory.ts'

/**
 * The component's side of one attached source: what it has taken and not yet acknowledged, and where the copies are awaited.
 * By entry of the source's ring: up to `mirrors` words that tell who must answer:
 *
 *      bit 31  nobody more     30  asked as the responsible one     24..29  slot     0..23  ordinal in the link to it
 *
 * One that is asked as the responsible one also passes the update on; others are mirrors. Links have far fewer entries than
 * the ordinal's bits can tell apart.
 */
const NOBODY = 1 << 31
const REQUEST = 1 << 30
const SLOT_SHIFT = 24
const SLOT_MASK = 63
const ORDINAL_MASK = (1 << SLOT_SHIFT) - 1
/** Shifts the difference of two ordinals so that its sign is right. */
const ORDINAL_SIGN = 32 - SLOT_SHIFT

/** The flags of an update that matter when it is acknowledged, in the low bits of its own copy's address, which are 0. */
const NOTICED_SHIFT = 1
const NOTICED_MASK = (FLAG_MORE | FLAG_RECEIPT | FLAG_SAMPLED) >> NOTICED_SHIFT

/** How far a link is answered. */
export interface Answers {
  readonly noted: number
  readonly held: number
}

export class SourceIntake {
  readonly id: number
  readonly memory: SourceMemory
  /** Ordinals (low 32 bits): what is below was taken; looked at; acknowledged. */
  taken: number
  settled: number
  acknowledged: number
  /** Waits for room at its component. */
  waiting = false
  /** By entry: the byte address of the own copy, and its noticed flags. */
  private readonly ownCopies: Int32Array
  private readonly awaited: Int32Array
  private readonly stride: number
  private readonly mask: number
  /** (ordinal, set) pairs: where sets begin of what was taken and is not settled. */
  private readonly begins: number[] = []
  /** The set of the last update that was taken; undefined before the first one. */
  private takenSet: number | undefined

  /**
   * @param acknowledged  ordinal from which on it is taken; a later component goes on where an earlier one ended
   * @param before  one of an earlier view, whose tables are used again: they are large, and written before they are read
   */
  constructor(id: number, memory: SourceMemory, mirrors: number, acknowledged: number, before?: SourceIntake) {
    this.id = id
    this.memory = memory
    this.taken = acknowledged
    this.settled = acknowledged
    this.acknowledged = acknowledged
    this.stride = mirrors
    this.mask = memory.mask
    this.ownCopies = before?.ownCopies ?? new Int32Array(memory.capacity)
    this.awaited = before?.awaited ?? new Int32Array(memory.capacity * mirrors)
  }

  /**
   * Goes on with a source at its acknowledged position, after an earlier component or view.
   * @param forming  low bits of the forming set
   */
  static resume(
    id: number,
    memory: SourceMemory,
    mirrors: number,
    acknowledged: number,
    forming: number,
    before?: SourceIntake
  ): SourceIntake {
    const intake = new SourceIntake(id, memory, mirrors, acknowledged, before)
    for (let n = 0; n < SET_WINDOW; n++) {
      const set = (forming - n) | 0
      if (!memory.hasSetBegin(set)) continue
      if (((memory.loadSetBegin(set) - acknowledged) | 0) < 0) {
        intake.takenSet = set
        break
      }
      // Written by one that ended before it acknowledged anything in that set: the update may come in another set now.
      memory.clearSetBegin(set)
    }
    return intake
  }

  /** From this ordinal on updates are taken in this set. */
  takesIn(set: number, ordinal: number): void {
    if (set === this.takenSet) return
    this.takenSet = set
    this.begins.push(ordinal, set)
  }

  /** Whether what was taken begins a set here, and is to be settled next. */
  beginsAt(ordinal: number): boolean {
    return this.begins.length > 0 && this.begins[0] === ordinal
  }

  /** Where `beginsAt`: the set. */
  beginNext(): number {
    const [, set] = this.begins.splice(0, 2) as [number, number]
    return set
  }

  keepsCopy(ordinal: number, address: number, flags: number): void {
    this.ownCopies[ordinal & this.mask] = address | ((flags >> NOTICED_SHIFT) & NOTICED_MASK)
  }
  copyOf(ordinal: number): number {
    return (this.ownCopies[ordinal & this.mask] as number) & ~NOTICED_MASK
  }
  noticedOf(ordinal: number): number {
    return ((this.ownCopies[ordinal & this.mask] as number) & NOTICED_MASK) << NOTICED_SHIFT
  }

  /** The responsible component `slot` was sent this update as entry `linkOrdinal`; nobody else is awaited. */
  awaitRequest(ordinal: number, slot: number, linkOrdinal: number): void {
    const at = (ordinal & this.mask) * this.stride
    this.awaited[at] = REQUEST | (slot << SLOT_SHIFT) | (linkOrdinal & ORDINAL_MASK)
    if (this.stride > 1) this.awaited[at + 1] = NOBODY
  }

  /** The n-th mirror of this update is entry `linkOrdinal` of the link to `slot`. */
  awaitCopy(ordinal: number, n: number, slot: number, linkOrdinal: number): void {
    this.awaited[(ordinal & this.mask) * this.stride + n] = (slot << SLOT_SHIFT) | (linkOrdinal & ORDINAL_MASK)
  }

  /** Whether all copies of this update are held. @param outs  by slot */
  isHeld(ordinal: number, outs: readonly Answers[]): boolean {
    const { stride, awaited } = this
    const from = (ordinal & this.mask) * stride
    for (let at = from; at < from + stride; at++) {
      const word = awaited[at] as number
      if (word < 0) return true
      const out = outs[(word >> SLOT_SHIFT) & SLOT_MASK] as Answers
      const answered = (word & REQUEST) === 0 ? out.noted : out.held
      if ((answered - word) << ORDINAL_SIGN <= 0) return false
    }
    return true
  }
}

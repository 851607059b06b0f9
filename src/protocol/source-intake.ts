import { SET_WINDOW, type SourceMemory } from '../memory/source-memory.ts'

/**
 * The component's side of one attached source: what it has taken and not yet acknowledged, and where the copies are awaited.
 * By entry of the source's ring: up to `mirrors` pairs (slot, ordinal in the link to it) that must be answered.
 */
const NOBODY = 127
/** With a slot: it was asked as the responsible one, which also passes the update on; else it is a mirror. */
const REQUEST = 128

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
  /** The set of the last acknowledged update; `begun` is false before the first one. */
  lastSet = 0
  begun = false
  /** Waits for room at its component. */
  waiting = false
  /** By entry: the byte address of the own copy. */
  readonly ownCopies: Int32Array
  private readonly awaitedSlots: Uint8Array
  private readonly awaitedOrdinals: Int32Array
  private readonly stride: number

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
    this.ownCopies = before?.ownCopies ?? new Int32Array(memory.capacity)
    this.awaitedSlots = before?.awaitedSlots ?? new Uint8Array(memory.capacity * mirrors).fill(NOBODY)
    this.awaitedOrdinals = before?.awaitedOrdinals ?? new Int32Array(memory.capacity * mirrors)
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
        intake.lastSet = set
        intake.begun = true
        break
      }
      // Written by one that ended before it acknowledged anything in that set: the update may come in another set now.
      memory.clearSetBegin(set)
    }
    return intake
  }

  /** The responsible component `slot` was sent this update as entry `linkOrdinal`; nobody else is awaited. */
  awaitRequest(ordinal: number, slot: number, linkOrdinal: number): void {
    this.awaitCopy(ordinal, 0, slot | REQUEST, linkOrdinal)
    this.awaitNobody(ordinal, 1)
  }

  /** The n-th mirror of this update is entry `linkOrdinal` of the link to `slot`. */
  awaitCopy(ordinal: number, n: number, slot: number, linkOrdinal: number): void {
    const at = (ordinal & this.memory.mask) * this.stride + n
    this.awaitedSlots[at] = slot
    this.awaitedOrdinals[at] = linkOrdinal
  }

  /** Forgets what the entry awaited the last time around. */
  awaitNobody(ordinal: number, from: number): void {
    const at = (ordinal & this.memory.mask) * this.stride
    for (let n = from; n < this.stride; n++) this.awaitedSlots[at + n] = NOBODY
  }

  /** Whether all copies of this update are held. @param outs  by slot */
  isHeld(ordinal: number, outs: readonly Answers[]): boolean {
    const from = (ordinal & this.memory.mask) * this.stride
    for (let at = from; at < from + this.stride; at++) {
      const awaited = this.awaitedSlots[at] as number
      if (awaited === NOBODY) return true
      const out = outs[awaited & NOBODY] as Answers
      const answered = awaited >= REQUEST ? out.held : out.noted
      if (((answered - (this.awaitedOrdinals[at] as number)) | 0) <= 0) return false
    }
    return true
  }
}

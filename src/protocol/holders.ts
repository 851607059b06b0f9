/**
 * Sets of slots as two words of bits (0..31, 32..63), as they stand in every copy of an update; and the rule by which a
 * change of view decides who holds an update from then on. All who hold a copy apply it to the same words, so they agree,
 * without asking, on who sends what to whom.
 */
export interface SlotBits {
  low: number
  high: number
}

export function bitsOf(slots: readonly number[]): SlotBits {
  const bits = { low: 0, high: 0 }
  for (const slot of slots) {
    if (slot < 32) bits.low |= 1 << slot
    else bits.high |= 1 << (slot - 32)
  }
  return bits
}

export function slotsOf(low: number, high: number): number[] {
  const slots: number[] = []
  for (let slot = 0; slot < 64; slot++) if (hasSlot(low, high, slot)) slots.push(slot)
  return slots
}

export function hasSlot(low: number, high: number, slot: number): boolean {
  return ((slot < 32 ? low : high) & (1 << (slot & 31))) !== 0
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

export interface NewView {
  /** Slots in rising order: all members; those that new copies may go to; those whose component begins empty. */
  readonly members: readonly number[]
  readonly eligible: readonly number[]
  readonly fresh: readonly number[]
  readonly mirrors: number
}

/**
 * Who holds an update in a new view: whoever held it and is still there, the component that is responsible now, whoever
 * took the place of one that held it; and as many more as are missing to mirrors+1.
 */
export class HolderRule {
  /** Who has a copy now, and who shall have one, of the update that was decided last. */
  hasLow = 0
  hasHigh = 0
  nextLow = 0
  nextHigh = 0
  private readonly view: NewView
  private readonly members: SlotBits
  private readonly surviving: SlotBits

  constructor(view: NewView) {
    this.view = view
    this.members = bitsOf(view.members)
    this.surviving = bitsOf(view.members.filter((slot) => !view.fresh.includes(slot)))
  }

  /**
   * @param low, high  who held it
   * @param spread  a number of the update's, alike in all copies: missing copies go to different members by it
   */
  decide(low: number, high: number, responsible: number, spread: number): void {
    this.hasLow = low & this.surviving.low
    this.hasHigh = high & this.surviving.high
    this.nextLow = low & this.members.low
    this.nextHigh = high & this.members.high
    this.add(responsible)
    const { eligible, mirrors } = this.view
    let missing = mirrors + 1 - countBits(this.nextLow) - countBits(this.nextHigh)
    for (let n = 0; missing > 0 && n < eligible.length; n++) {
      const slot = eligible[(spread + n) % eligible.length] as number
      if (hasSlot(this.nextLow, this.nextHigh, slot)) continue
      this.add(slot)
      missing--
    }
  }

  /** Whether some copy has to be made, of the update decided last. */
  get isMissing(): boolean {
    return ((this.nextLow & ~this.hasLow) | (this.nextHigh & ~this.hasHigh)) !== 0
  }

  /** Who makes the missing copies: the responsible component where it has one, else one of those who have. */
  sender(responsible: number, spread: number): number {
    if (hasSlot(this.hasLow, this.hasHigh, responsible)) return responsible
    let skip = spread % Math.max(1, countBits(this.hasLow) + countBits(this.hasHigh))
    for (let slot = 0; slot < 64; slot++) {
      if (hasSlot(this.hasLow, this.hasHigh, slot) && skip-- === 0) return slot
    }
    return -1
  }

  private add(slot: number): void {
    if (slot < 32) this.nextLow |= 1 << slot
    else this.nextHigh |= 1 << (slot - 32)
  }
}

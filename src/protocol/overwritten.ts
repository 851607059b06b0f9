import type { Arena } from '../memory/arena.ts'
import {
  FLAG_ZERO,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_SEQUENCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import type { AddressList, HeldUpdates } from './held.ts'

const FEWEST_SLOTS = 1024
/** What is larger is for one set only, and given back. */
const MOST_SLOTS_KEPT = 1 << 20
const HASH_FACTOR = 0x9e3779b1 | 0

/**
 * Which updates of a set need not be sent: a later one of the same set begins where they begin and is at least as long.
 * Blocks that are written again and again do; what is overwritten in other ways is left to the secondary, which folds
 * exactly. Only inside one set: between sets every state is one that the secondary shows (SYSTEM.md 6, "Secondary").
 *
 * One pass over the list from its newest update to its oldest, a slice at a time, with a table of the places seen.
 */
export class Overwritten {
  /** Updates found so far. */
  count = 0
  protected readonly arena: Arena
  protected readonly held: Pick<HeldUpdates, 'whole'>
  /** Index in the list, plus one, of one that begins at a place, mostly the newest or the longest; 0 for a free slot. */
  private slots = new Int32Array(0)
  /** Its hash: most other places are told from this one without a look at the record. */
  private hashes = new Int32Array(0)
  private mask = 0
  /** A bit for each update of the list. */
  private bits = new Int32Array(0)
  private left = 0

  constructor(arena: Arena, held: Pick<HeldUpdates, 'whole'>) {
    this.arena = arena
    this.held = held
  }

  /** The list of a set that nothing is added to any more. */
  begin(list: AddressList): void {
    const { length } = list
    let wanted = FEWEST_SLOTS
    while (wanted < 2 * length) wanted *= 2
    if (wanted > this.slots.length || this.slots.length > MOST_SLOTS_KEPT) {
      this.slots = new Int32Array(wanted)
      this.hashes = new Int32Array(wanted)
    } else this.slots.fill(0, 0, wanted)
    this.mask = wanted - 1
    const words = (length + 31) >>> 5
    if (words > this.bits.length) this.bits = new Int32Array(words)
    else this.bits.fill(0, 0, words)
    this.count = 0
    this.left = length
  }

  /** Looks at up to so many updates more. True when all have been looked at. */
  look(list: AddressList, budget: number): boolean {
    // Secured meanwhile, by parts that were journaled before a view changed: the list is gone.
    this.left = Math.min(this.left, list.length)
    const until = Math.max(0, this.left - budget)
    while (this.left > until) this.lookAt(list, --this.left)
    return this.left === 0
  }

  has(index: number): boolean {
    return ((this.bits[index >>> 5] as number) & (1 << (index & 31))) !== 0
  }

  private lookAt(list: AddressList, index: number): void {
    const { arena, mask, slots, hashes } = this
    const address = this.held.whole(list.at(index))
    const volume = arena.ints[(address >>> 2) + RECORD_VOLUME] as number
    const offset = arena.floats[(address >>> 3) + RECORD_OFFSET] as number
    const hash = hashOf(volume, offset)
    let slot = (hash >>> 7) & mask
    while (slots[slot] !== 0) {
      if (hashes[slot] === hash) {
        const other = (slots[slot] as number) - 1
        const at = this.held.whole(list.at(other))
        if (this.isAt(at, volume, offset)) {
          slots[slot] = this.judge(index, address, other, at) + 1
          return
        }
      }
      slot = (slot + 1) & mask
    }
    slots[slot] = index + 1
    hashes[slot] = hash
  }

  /** Two at one place. Returns which of them stays in the table. */
  private judge(index: number, address: number, other: number, at: number): number {
    if (this.covers(at, address)) {
      this.leaveOut(index)
      return other
    }
    if (this.covers(address, at)) this.leaveOut(other)
    return index
  }

  /** Time stamps are given by those who take: the list's order is not always that of sequences. */
  private covers(later: number, earlier: number): boolean {
    const sequences = this.arena.floats
    const isLater =
      (sequences[(later >>> 3) + RECORD_SEQUENCE] as number) > (sequences[(earlier >>> 3) + RECORD_SEQUENCE] as number)
    return isLater && this.isLongEnough(later, earlier)
  }

  /** Overridden in the simulator's broken variant only. */
  protected isLongEnough(later: number, earlier: number): boolean {
    return this.lengthOf(later) >= this.lengthOf(earlier)
  }

  private isAt(address: number, volume: number, offset: number): boolean {
    const { ints, floats } = this.arena
    return ints[(address >>> 2) + RECORD_VOLUME] === volume && floats[(address >>> 3) + RECORD_OFFSET] === offset
  }

  private lengthOf(address: number): number {
    const { ints, floats } = this.arena
    const isZero = ((ints[(address >>> 2) + RECORD_FLAGS] as number) & FLAG_ZERO) !== 0
    return isZero
      ? (floats[(address >>> 3) + RECORD_PAYLOAD] as number)
      : (ints[(address >>> 2) + RECORD_LENGTH] as number)
  }

  /** Overridden where a story is told. */
  protected leaveOut(index: number): void {
    this.bits[index >>> 5] = (this.bits[index >>> 5] as number) | (1 << (index & 31))
    this.count++
  }
}

/** Offsets are mostly multiples of a block's length: all bits of them count. */
function hashOf(volume: number, offset: number): number {
  const high = Math.floor(offset / 4294967296)
  let hash = Math.imul((offset | 0) ^ Math.imul(high + 1, 0x85ebca6b | 0), HASH_FACTOR)
  hash = Math.imul(hash ^ (hash >>> 15) ^ volume, HASH_FACTOR)
  return hash ^ (hash >>> 13)
}

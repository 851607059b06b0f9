import type { Arena } from '../memory/arena.ts'
import { ENTRY_MOVED, ENTRY_UPDATE, entry, type Link, REJECTED } from '../memory/link.ts'
import type { Parking } from '../memory/parking.ts'
import { RECORD_SEQUENCE } from '../memory/record.ts'
import type { SlotBits } from './holders.ts'
import { LANE_MOVING, Lane, type LaneNotices } from './lane.ts'
import { ProtocolError } from './setting.ts'

/** Entries of a link that are left for notices. */
const RESERVE = 16
export const ENTRY_RESERVE = RESERVE
/** In place of an own copy: nothing waits for the sequence. */
const NOTHING = -1
export const NO_RECORD = NOTHING

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const SEQUENCE = RECORD_SEQUENCE
const WAS_REJECTED = REJECTED
const UPDATE = ENTRY_UPDATE

/** The sending end of a link to another component. */
export class OutLink implements LaneNotices {
  readonly slot: number
  /** All who hold an update that is taken here for that component; with one mirror also one that it mirrors. */
  readonly holders: SlotBits
  readonly arena: Arena
  readonly lanes: readonly Lane[]
  /** The first of them: with one mirror the only one. */
  readonly usual: Lane
  /** Into which copies go that a change of view moves. */
  readonly moving: Lane
  /** Entries below it were noted by the holder, and their sequences are known here. */
  noted = 0
  /** Entries below it are held also where the holder passed them on. */
  held = 0
  /** Ordinal of the next entry. */
  head = 0
  private readonly link: Link
  private readonly parking: Parking
  private readonly passesOn: boolean
  private published = 0
  /** By entry: the byte address of the own copy that waits for its sequence. */
  private readonly ownCopies: Int32Array
  /**
   * Entries that found the ring full, in order; nothing goes before them. They are few: notices, and copies whose places
   * were set aside. So nobody has to stop reading its inputs because an output is full.
   */
  private readonly overflow: number[] = []

  constructor(slot: number, link: Link, arena: Arena, parking: Parking, laneCount: number, holders: SlotBits) {
    this.slot = slot
    this.holders = holders
    this.link = link
    this.arena = arena
    this.parking = parking
    this.passesOn = laneCount > 1
    this.ownCopies = new Int32Array(link.capacity)
    this.lanes = Array.from({ length: laneCount }, (_, kind) => new Lane(kind, arena.layout.chunkShift, this))
    this.usual = this.lanes[0] as Lane
    this.moving = new Lane(LANE_MOVING, arena.layout.chunkShift, this)
  }

  /** Whether one more update fits: the ring's last places are for notices. */
  get takesUpdate(): boolean {
    return this.hasRoom(RESERVE)
  }

  /** Whether `entries` more fit; notices need some of it too, so callers leave a reserve. */
  hasRoom(entries: number): boolean {
    return this.overflow.length === 0 && this.link.capacity - ((this.head - this.noted) | 0) >= entries
  }

  /**
   * An update that was written at `address` in the holder's arena; there must be room. Returns its ordinal.
   * @param ownCopy  byte address of the own copy that gets the sequence
   */
  sendUpdate(address: number, ownCopy: number): number {
    const ordinal = this.head
    const at = ordinal & this.link.mask
    this.link.entries[at] = entry(UPDATE, address >>> 3)
    this.ownCopies[at] = ownCopy
    this.head = (ordinal + 1) | 0
    return ordinal
  }

  /** A copy for a mirror, which gets no sequence back. Never refused: what it needs beyond the ring waits here. */
  sendCopy(address: number): number {
    return this.put(entry(UPDATE, address >>> 3))
  }

  /** A copy that a change of view moves. */
  sendMoved(address: number): number {
    return this.put(entry(ENTRY_MOVED, address >>> 3))
  }

  lane(kind: number): Lane {
    return kind === LANE_MOVING ? this.moving : (this.lanes[kind] as Lane)
  }

  notice(word: number): void {
    this.put(word)
  }

  /** Moves what waited for room into the ring. */
  flushOverflow(): number {
    let done = 0
    while (this.overflow.length > 0 && ((this.filled - this.noted) | 0) < this.link.capacity) {
      this.fill(this.filled, this.overflow.shift() as number)
      done++
    }
    return done
  }

  /** One store makes all that was sent since the last time visible; then the holder is woken if it sleeps. */
  publish(): void {
    const filled = this.filled
    if (this.published === filled) return
    this.published = filled
    this.link.publish(filled)
    this.parking.wake()
  }

  /**
   * Block 316: receives the sequence identifiers of what the responsible component has accepted and writes them beside
   * the own copies.
   */
  receiveAnswers(own: Arena): number {
    let work = 0
    if (this.passesOn) {
      const held = this.loadHeld()
      if (held !== this.held) {
        this.held = held
        work = 1
      }
    }
    const noted = this.loadNoted()
    const from = this.noted
    if (noted === from) return work
    const { sequences, mask } = this.link
    for (let ordinal = from; ordinal !== noted; ordinal = (ordinal + 1) | 0) {
      const sequence = sequences[ordinal & mask] as number
      // Of a mirror copy too: what was rejected is not held, so it must not count as that.
      if (sequence === WAS_REJECTED)
        throw new ProtocolError(`component ${this.slot} rejected an update that was sent to it`)
      const copy = this.ownCopies[ordinal & mask] as number
      if (copy !== NOTHING) own.floats[(copy >>> 3) + SEQUENCE] = sequence
    }
    this.noted = noted
    if (!this.passesOn) this.held = noted
    return (noted - from) | 0
  }

  /** Overridden in the simulator's broken variants only. */
  protected loadNoted(): number {
    return this.link.loadNoted()
  }
  protected loadHeld(): number {
    return this.link.loadHeld()
  }

  /** Entries below it were published. */
  protected get sent(): number {
    return this.published
  }

  /** Ordinal of the next entry that goes into the ring: what overflowed has ordinals already. */
  private get filled(): number {
    return (this.head - this.overflow.length) | 0
  }

  private put(word: number): number {
    const ordinal = this.head
    if (this.hasRoom(1)) this.fill(ordinal, word)
    else this.overflow.push(word)
    this.head = (ordinal + 1) | 0
    return ordinal
  }

  private fill(ordinal: number, word: number): void {
    const at = ordinal & this.link.mask
    this.link.entries[at] = word
    this.ownCopies[at] = NO_RECORD
  }
}

import type { Arena } from '../memory/arena.ts'
import { WAY_SECONDARY, WAY_SPOOL, type WayNumber } from '../memory/board.ts'
import { ENTRY_EPOCH, ENTRY_PART_BEGIN, ENTRY_PART_END, ENTRY_UPDATE, entry, type Link } from '../memory/link.ts'
import { RECORD_SEQUENCE, RECORD_SET, RECORD_VOLUME } from '../memory/record.ts'
import type { AddressList, HeldUpdates } from './held.ts'
import { Overwritten } from './overwritten.ts'
import { isAfter } from './set-identifier.ts'
import { arenaOf, assert, type Setting } from './setting.ts'

/** Entries sent before something else has its turn. */
const BATCH = 2048
/** Updates looked at before something else has its turn. */
const LOOK_BATCH = 4096

/** Where sets are sent: to the secondary components, or to the spool. */
export interface Way {
  readonly number: WayNumber
  readonly links: readonly Link[]
  /** By volume: which of the links. */
  readonly linkOf: Uint8Array
  /** Whose parking places are from here on, one for each link. */
  readonly parkingFrom: number
}

export function wayToSecondaries({ secondaries, secondaryOf, board }: Setting): Way {
  return { number: WAY_SECONDARY, links: secondaries, linkOf: secondaryOf, parkingFrom: board.layout.slots }
}

const NO_VOLUMES = new Uint8Array(0)

/** One link takes all volumes. */
export function wayToSpool({ spool, secondaryOf, board }: Setting): Way {
  const parkingFrom = board.layout.slots + board.spoolIndex
  // Made at each change of view, in a hurry.
  if (spool === undefined) return { number: WAY_SPOOL, links: [], linkOf: NO_VOLUMES, parkingFrom }
  return { number: WAY_SPOOL, links: [spool], linkOf: new Uint8Array(secondaryOf.length), parkingFrom }
}

/**
 * Figure 4, block 404: at the end of a set this component transfers the updates of its volumes to the secondary components,
 * each volume to the one that keeps it; or, when memory is short, to the spool. The link carries addresses; the bytes are
 * lent, where they lie, until the set is secured or the way's epoch changes: parts of an older epoch are void, and what was
 * lent for them may be gone. Links are never restarted, since a receiver may stand still for long: each part says its epoch.
 */
export class Transfer {
  private readonly setting: Setting
  private readonly way: Way
  private readonly held: HeldUpdates
  private readonly arena: Arena
  private readonly overwritten: Overwritten
  /** By secondary component: ordinal of the next entry; how far it had read when we last looked. */
  private readonly heads: Int32Array
  private readonly readSeen: Int32Array
  private set: number
  /** All up to it is secured. */
  private discarded: number
  private epoch: number
  /** In the set that is being sent; -1 before its beginning was announced. */
  private next = -1
  private sending = false
  /** What need not be sent of it is known. */
  private looked = false
  private readonly sequenceAt = (address: number): number =>
    this.arena.floats[(address >>> 3) + RECORD_SEQUENCE] as number

  constructor(setting: Setting, held: HeldUpdates, way: Way = wayToSecondaries(setting)) {
    this.setting = setting
    this.way = way
    this.held = held
    this.arena = arenaOf(setting, setting.slot)
    this.overwritten = this.makeOverwritten(this.arena, held)
    // It goes on where the one before it stopped.
    this.heads = Int32Array.from(way.links, (link) => link.lastPublished())
    this.readSeen = Int32Array.from(way.links, (link) => link.lastNoted())
    this.set = (setting.firstSet - 1) | 0
    this.discarded = this.set
    this.epoch = setting.board.loadEpoch(way.number)
  }

  /** Sends on. Returns how many entries it sent. */
  send(): number {
    const { way } = this
    if (way.links.length === 0) return 0
    const { board } = this.setting
    const epoch = board.loadEpoch(way.number)
    if (epoch !== this.epoch) this.startAgain(epoch)
    // Members are about to change.
    if ((epoch & 1) === 1) return 0
    if (!this.sending) {
      const released = way.number === WAY_SPOOL ? board.loadSpool() : this.nextToTransfer()
      // The control thread stores `secured` before it releases a later set.
      this.discard(board.loadSecured())
      // Put back before the epoch changes, and moved on after that: what was loaded is of this epoch if that is still the same.
      if (!isAfter(released, this.set) || board.loadEpoch(way.number) !== epoch) return 0
      // Those between hold nothing.
      this.set = released
      this.sending = true
      this.next = -1
      this.looked = false
    }
    // A view may have changed meanwhile, and taken bytes of it along.
    if (this.held.missing.lacks(this.set)) return 0
    const list = this.held.listOf(this.set, this.sequenceAt)
    if (this.next < 0 && !this.lookThrough(list)) return 1
    const sent = this.sendPart(list)
    if (sent > 0) this.publish()
    return sent
  }

  /**
   * Two may be on their way at once, and whoever begins again begins with the first. Overridden in the simulator's broken
   * variants only.
   */
  protected nextToTransfer(): number {
    const { board } = this.setting
    // In this order: the later one is never seen without the earlier one.
    const last = board.loadTransfer()
    const first = board.loadTransferFrom()
    return this.isAhead(first) ? first : last
  }

  /** Not sent yet in this epoch. */
  protected isAhead(set: number): boolean {
    return isAfter(set, this.set)
  }

  /** A set may be secured without a transfer when it holds nothing. */
  discard(secured: number): void {
    this.discarded = secured
    if (isAfter(secured, this.set)) {
      this.set = secured
      this.sending = false
    }
  }

  /** All that was sent and is not secured is void. What may still be sent on this way is sent again. */
  private startAgain(epoch: number): void {
    this.epoch = epoch
    this.set = this.discarded
    this.sending = false
  }

  /** Overridden in the simulator's broken variants only. */
  protected makeOverwritten(arena: Arena, held: HeldUpdates): Overwritten {
    return new Overwritten(arena, held)
  }

  /** By which index the n-th update to be sent is found. Overridden in the simulator's broken variants only. */
  protected indexOf(n: number, _length: number): number {
    return n
  }

  /** Finds what need not be sent, a slice at a time. Nothing is added to the set any more. */
  private lookThrough(list: AddressList): boolean {
    if (!this.looked) {
      this.overwritten.begin(list)
      this.looked = true
    }
    return this.overwritten.look(list, LOOK_BATCH)
  }

  private sendPart(list: AddressList): number {
    let sent = 0
    if (this.next < 0) {
      if (!this.roomForAll(2)) return 0
      this.toAll(entry(ENTRY_EPOCH, this.epoch & 0xfffffff))
      this.toAll(entry(ENTRY_PART_BEGIN, this.set & 0xfffffff))
      this.next = 0
      sent++
    }
    const { linkOf } = this.way
    const until = Math.min(list.length, this.next + 4 * BATCH)
    while (this.next < until && sent < BATCH) {
      const index = this.indexOf(this.next, list.length)
      if (this.overwritten.has(index)) {
        this.next++
        continue
      }
      const address = this.held.whole(list.at(index))
      const i = address >>> 2
      assert(this.arena.ints[i + RECORD_SET] === this.set, `an update of set ${this.set} is not where it was noted`)
      const volume = this.arena.ints[i + RECORD_VOLUME] as number
      const n = linkOf[volume] as number
      if (!this.hasRoom(n, 1)) return sent
      this.put(n, entry(ENTRY_UPDATE, address >>> 3))
      this.next++
      sent++
    }
    // A set that was secured meanwhile (its parts had been journaled before a view changed) has no list any more.
    if (this.next < list.length) return Math.max(sent, 1)
    if (this.roomForAll(1)) {
      this.toAll(entry(ENTRY_PART_END, this.set & 0xfffffff))
      this.sending = false
      sent++
    }
    return sent
  }

  private hasRoom(n: number, entries: number): boolean {
    const link = this.way.links[n] as Link
    const most = link.capacity - entries
    const head = this.heads[n] as number
    if (((head - (this.readSeen[n] as number)) | 0) <= most) return true
    this.readSeen[n] = link.loadNoted()
    return ((head - (this.readSeen[n] as number)) | 0) <= most
  }

  private roomForAll(entries: number): boolean {
    for (let n = 0; n < this.heads.length; n++) if (!this.hasRoom(n, entries)) return false
    return true
  }

  private toAll(word: number): void {
    for (let n = 0; n < this.heads.length; n++) this.put(n, word)
  }

  private put(n: number, word: number): void {
    const link = this.way.links[n] as Link
    const head = this.heads[n] as number
    link.entries[head & link.mask] = word
    this.heads[n] = (head + 1) | 0
  }

  private publish(): void {
    const { links, parkingFrom } = this.way
    const { parking } = this.setting.board
    for (let n = 0; n < links.length; n++) {
      ;(links[n] as Link).publish(this.heads[n] as number)
      parking[parkingFrom + n]?.wake()
    }
  }
}

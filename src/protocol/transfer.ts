import type { Arena } from '../memory/arena.ts'
import { ENTRY_PART_BEGIN, ENTRY_PART_END, ENTRY_UPDATE, entry, type Link } from '../memory/link.ts'
import { RECORD_SEQUENCE, RECORD_SET, RECORD_VOLUME } from '../memory/record.ts'
import type { AddressList, HeldUpdates } from './held.ts'
import { Overwritten } from './overwritten.ts'
import { isAfter } from './set-identifier.ts'
import { arenaOf, assert, type Setting } from './setting.ts'

/** Entries sent before something else has its turn. */
const BATCH = 2048
/** Updates looked at before something else has its turn. */
const LOOK_BATCH = 4096

/**
 * Figure 4, block 404: at the end of a set this component transfers the updates of its volumes to the secondary components,
 * each volume to the one that keeps it. The link carries addresses; the bytes are lent, where they lie, until the set is
 * secured.
 */
export class Transfer {
  private readonly setting: Setting
  private readonly held: HeldUpdates
  private readonly arena: Arena
  private readonly overwritten: Overwritten
  /** By secondary component: ordinal of the next entry; how far it had read when we last looked. */
  private readonly heads: Int32Array
  private readonly readSeen: Int32Array
  private set: number
  /** In the set that is being sent; -1 before its beginning was announced. */
  private next = -1
  private sending = false
  /** What need not be sent of it is known. */
  private looked = false
  private readonly sequenceAt = (address: number): number =>
    this.arena.floats[(address >>> 3) + RECORD_SEQUENCE] as number

  constructor(setting: Setting, held: HeldUpdates) {
    this.setting = setting
    this.held = held
    this.arena = arenaOf(setting, setting.slot)
    this.overwritten = this.makeOverwritten(this.arena, held)
    this.heads = new Int32Array(setting.secondaries.length)
    this.readSeen = new Int32Array(setting.secondaries.length)
    this.set = (setting.firstSet - 1) | 0
  }

  /** Sends on. Returns how many entries it sent. */
  send(): number {
    if (this.setting.secondaries.length === 0) return 0
    if (!this.sending) {
      const released = this.setting.board.loadTransfer()
      // The control thread stores `secured` before it releases a later set.
      this.discard(this.setting.board.loadSecured())
      if (!isAfter(released, this.set)) return 0
      // One is released when the one before is journaled everywhere; those between hold nothing.
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

  /** A set may be secured without a transfer when it holds nothing. */
  discard(secured: number): void {
    if (isAfter(secured, this.set)) {
      this.set = secured
      this.sending = false
    }
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
      if (!this.roomForAll()) return 0
      this.toAll(entry(ENTRY_PART_BEGIN, this.set & 0xfffffff))
      this.next = 0
      sent++
    }
    const { secondaryOf } = this.setting
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
      const secondary = secondaryOf[volume] as number
      if (!this.hasRoom(secondary)) return sent
      this.put(secondary, entry(ENTRY_UPDATE, address >>> 3))
      this.next++
      sent++
    }
    // A set that was secured meanwhile (its parts had been journaled before a view changed) has no list any more.
    if (this.next < list.length) return Math.max(sent, 1)
    if (this.roomForAll()) {
      this.toAll(entry(ENTRY_PART_END, this.set & 0xfffffff))
      this.sending = false
      sent++
    }
    return sent
  }

  private hasRoom(secondary: number): boolean {
    const link = this.setting.secondaries[secondary] as Link
    const head = this.heads[secondary] as number
    if (((head - (this.readSeen[secondary] as number)) | 0) < link.capacity) return true
    this.readSeen[secondary] = link.loadNoted()
    return ((head - (this.readSeen[secondary] as number)) | 0) < link.capacity
  }

  private roomForAll(): boolean {
    for (let n = 0; n < this.heads.length; n++) if (!this.hasRoom(n)) return false
    return true
  }

  private toAll(word: number): void {
    for (let n = 0; n < this.heads.length; n++) this.put(n, word)
  }

  private put(secondary: number, word: number): void {
    const link = this.setting.secondaries[secondary] as Link
    const head = this.heads[secondary] as number
    link.entries[head & link.mask] = word
    this.heads[secondary] = (head + 1) | 0
  }

  private publish(): void {
    const { secondaries, board } = this.setting
    for (let n = 0; n < secondaries.length; n++) {
      ;(secondaries[n] as Link).publish(this.heads[n] as number)
      board.parking[board.layout.slots + n]?.wake()
    }
  }
}

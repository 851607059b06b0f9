import type { Arena } from '../memory/arena.ts'
import { copyOnce } from '../memory/copy.ts'
import {
  ENTRY_CLOSE,
  ENTRY_GRANT,
  ENTRY_MOVED,
  ENTRY_UPDATE,
  ENTRY_WANT,
  entryKind,
  entryValue,
  type Link,
  REJECTED
} from '../memory/link.ts'
import {
  FLAG_METADATA,
  FLAG_MIRROR,
  HEADER_BYTES,
  hasData,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import type { Credits } from './credits.ts'
import type { HeldSet, HeldUpdates } from './held.ts'
import type { OutLink } from './out-link.ts'
import type { Places } from './places.ts'
import { noteIfResponsible } from './rebuild.ts'
import type { Refetch } from './refetch.ts'
import type { Sequencer } from './sequencer.ts'
import { arenaOf, assert, type Setting } from './setting.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const UPDATE = ENTRY_UPDATE
const METADATA = FLAG_METADATA
const MIRROR = FLAG_MIRROR
const HEADER = HEADER_BYTES
const BYTES = RECORD_BYTES
const FLAGS = RECORD_FLAGS
const LENGTH = RECORD_LENGTH
const POSITION = RECORD_POSITION
const SEQUENCE = RECORD_SEQUENCE
const SET = RECORD_SET
const SOURCE = RECORD_SOURCE
const VOLUME = RECORD_VOLUME

/** Entries read from one link before something else has its turn. */
const BATCH = 1024
const NOWHERE = -1

/** The receiving end of a link from another component. */
export class InLink {
  readonly slot: number
  readonly link: Link
  /** Entries below it were read and noted. */
  noted = 0
  /** Entries below it are held also where they were passed on. */
  held = 0
  /** How many further mirrors each request is passed on to. */
  readonly passedOn: number
  /** Requests passed on and not yet held there, oldest first: the ordinal, then pairs (slot, ordinal in the link to it). */
  readonly pending: number[] = []
  pendingAt = 0

  constructor(slot: number, link: Link, passedOn: number) {
    this.slot = slot
    this.link = link
    this.passedOn = passedOn
  }
}

/** Figure 3B: a data update is received from another backup component. */
export class Receiver {
  rejected = 0
  received = 0
  private readonly setting: Setting
  private readonly outs: readonly OutLink[]
  private readonly places: Places
  private readonly held: HeldUpdates
  private readonly sequencer: Sequencer
  private readonly credits: Credits
  private readonly refetch: Refetch
  private readonly arena: Arena
  private readonly chunkMask: number
  // Copies of one set that lie one behind the other, and of which note is taken together.
  private runAt = NOWHERE
  private runEnd = NOWHERE
  private runSet = 0
  private runCount = 0

  constructor(
    setting: Setting,
    outs: readonly OutLink[],
    places: Places,
    held: HeldUpdates,
    sequencer: Sequencer,
    credits: Credits,
    refetch: Refetch
  ) {
    this.refetch = refetch
    this.setting = setting
    this.outs = outs
    this.places = places
    this.held = held
    this.sequencer = sequencer
    this.credits = credits
    this.arena = arenaOf(setting, setting.slot)
    this.chunkMask = this.arena.layout.chunkBytes - 1
  }

  /** Reads a batch from the link; answers what is held. Returns how many entries it read or answered. */
  receiveFrom(link: InLink): number {
    const before = link.noted
    const count = Math.min(BATCH, (link.link.loadPublished() - before) | 0)
    if (count > 0) {
      this.sequencer.beginReceived(this.setting.board.loadForming(), count)
      this.receive(link, (before + count) | 0)
      // Before it is answered.
      this.noteRun()
    }
    return count + this.answer(link, before)
  }

  private receive(link: InLink, end: number): void {
    while (link.noted !== end) {
      this.receiveUsual(link, end)
      if (link.noted === end) return
      this.receiveOthers(link, end)
    }
  }

  /**
   * What is usual, as far as it goes: updates of one set that lie one behind the other and are not passed on. The same as
   * `receiveOne`. Each update passes here, so nothing in the loop is ever called that is not compiled into it (take.ts).
   */
  private receiveUsual(link: InLink, end: number): void {
    const { runSet: set, chunkMask, sequencer } = this
    if (this.runCount === 0 || link.passedOn > 0 || !sequencer.isFetched(set)) return
    const { entries, sequences, mask } = link.link
    const { ints, floats } = this.arena
    const { slot, board } = this.setting
    const { slot: sender } = link
    const table = board.responsibilityIn(set)
    const held = this.held.of(set)
    const from = link.noted
    let ordinal = from
    let next = this.runEnd
    while (ordinal !== end) {
      const word = entries[ordinal & mask] as number
      const address = entryValue(word) << 3
      if (entryKind(word) !== UPDATE || address !== next || (address & chunkMask) === 0) break
      const i = address >>> 2
      const responsible = table[ints[i + VOLUME] as number] as number
      const isMirror = ((ints[i + FLAGS] as number) & MIRROR) !== 0
      if ((ints[i + SET] as number) !== set || responsible !== (isMirror ? sender : slot)) break
      if (!isMirror) {
        if (held.list.isFull || !sequencer.isFetched(set)) break
        const given = sequencer.giveFetched(floats[(address >>> 3) + SEQUENCE] as number)
        sequences[ordinal & mask] = this.accept(held, given, address)
      }
      next = address + (ints[i + BYTES] as number)
      ordinal = (ordinal + 1) | 0
    }
    const received = (ordinal - from) | 0
    link.noted = ordinal
    this.runEnd = next
    this.runCount += received
    this.received += received
  }

  /** One entry, and what follows it that is no update: copies that a change of view moves come in rows. */
  private receiveOthers(link: InLink, end: number): void {
    const { entries, mask } = link.link
    let ordinal = link.noted
    do {
      const word = entries[ordinal & mask] as number
      if (entryKind(word) === UPDATE) this.receiveOne(link, ordinal, entryValue(word) << 3)
      else this.receiveNotice(link, word)
      ordinal = (ordinal + 1) | 0
    } while (ordinal !== end && entryKind(entries[ordinal & mask] as number) !== UPDATE)
    link.noted = ordinal
  }

  private receiveOne(link: InLink, ordinal: number, address: number): void {
    this.received++
    const { ints, floats } = this.arena
    const { slot, board } = this.setting
    const i = address >>> 2
    const set = ints[i + SET] as number
    const bytes = ints[i + BYTES] as number
    // Block 320: are we responsible for the volume?
    const responsible = board.responsibilityIn(set)[ints[i + VOLUME] as number] as number
    const isMirror = ((ints[i + FLAGS] as number) & MIRROR) !== 0
    if (responsible === slot && !isMirror) {
      // Blocks 322-326: accept, give the sequence identifier, keep track of who sent it, acknowledge with the identifier.
      this.keep(address, bytes, set)
      const given = this.sequencer.giveReceived(set, floats[(address >>> 3) + SEQUENCE] as number)
      const sequence = this.accept(this.held.withRoom(set), given, address)
      link.link.sequences[ordinal & link.link.mask] = sequence
      if (link.passedOn > 0) this.passOn(link, ordinal, address, bytes, sequence)
    } else if (isMirror && responsible === link.slot) {
      // Blocks 328-332: from the responsible one: accept the update and its identifier, keep track of who sent it.
      this.keep(address, bytes, set)
    } else this.reject(link, ordinal, address)
  }

  /** Returns the sequence identifier; there is room in the list. */
  private accept(held: HeldSet, given: number, address: number): number {
    const { ints, floats } = this.arena
    const i = address >>> 2
    const f = address >>> 3
    const ordinal = (floats[f + POSITION] as number) | 0
    const source = ints[i + SOURCE] as number
    const sequence = held.note(ints[i + VOLUME] as number, given, ints[i + LENGTH] as number, source, ordinal, address)
    floats[f + SEQUENCE] = sequence
    return sequence
  }

  /** Copies lie one behind the other as long as their sender fills a chunk: note is taken of all of them at once. */
  private keep(address: number, bytes: number, set: number): void {
    if (address !== this.runEnd || set !== this.runSet || (address & this.chunkMask) === 0) {
      this.noteRun()
      this.runAt = address
      this.runSet = set
    }
    this.runEnd = address + bytes
    this.runCount++
  }

  private noteRun(): void {
    if (this.runCount === 0) return
    const bytes = this.runEnd - this.runAt
    this.places.note(this.runAt, bytes, this.runSet)
    this.held.hold(this.runSet, bytes, this.runCount)
    this.runCount = 0
    this.runEnd = NOWHERE
  }

  /** Block 334: nobody here may accept it. It is answered so that its sender finds out, and counted. */
  private reject(link: InLink, ordinal: number, address: number): void {
    this.rejected++
    // It may lie between updates that are held: whoever lists them passes over it.
    this.arena.floats[(address >>> 3) + SEQUENCE] = REJECTED
    link.link.sequences[ordinal & link.link.mask] = REJECTED
  }

  /** More than one mirror: the responsible component holds places onward for everything that it may be sent. */
  private passOn(link: InLink, ordinal: number, address: number, bytes: number, sequence: number): void {
    const onward = this.credits.onwardOfChunk(address)
    link.pending.push(ordinal)
    for (const { out, chunkAddress } of onward) {
      const outAt = chunkAddress + (address & (this.arena.layout.chunkBytes - 1))
      const isBare = this.setting.metadataOnly === true && hasData(this.arena, address)
      // At equal offsets, also where the bytes of data are left out.
      copyOnce(this.arena, address, isBare ? HEADER : bytes, out.arena, outAt)
      const flags = out.arena.ints[(outAt >>> 2) + FLAGS] as number
      out.arena.ints[(outAt >>> 2) + FLAGS] = flags | MIRROR | (isBare ? METADATA : 0)
      out.arena.floats[(outAt >>> 3) + SEQUENCE] = sequence
      link.pending.push(out.slot, out.sendCopy(outAt))
    }
  }

  private receiveNotice(link: InLink, word: number): void {
    const value = entryValue(word)
    const kind = entryKind(word)
    if (kind === ENTRY_MOVED) {
      this.acceptMoved(value * 8)
      return
    }
    // A chunk is closed after all that lies in it.
    this.noteRun()
    if (kind === ENTRY_GRANT) this.credits.granted(link.slot, value)
    else if (kind === ENTRY_CLOSE) this.credits.closed(link.slot, value)
    else if (kind === ENTRY_WANT) this.credits.wanted(link.slot, value)
    else assert(false, `entry of unknown kind from component ${link.slot}`)
  }

  /** A copy that shall be held here from the new view on, with the sequence that it has. */
  private acceptMoved(address: number): void {
    const set = this.arena.ints[(address >>> 2) + SET] as number
    const bytes = this.arena.ints[(address >>> 2) + BYTES] as number
    this.keep(address, bytes, set)
    noteIfResponsible(this.setting, this.held, this.arena, address)
    // Before it is answered: when all is restored the control thread must know of it.
    this.refetch.tell()
  }

  /** Tells the sender how far everything is noted here, and held by those to whom we passed it on. */
  private answer(link: InLink, before: number): number {
    let work = 0
    if (link.noted !== before) {
      link.link.storeNoted(link.noted)
      work++
    }
    if (link.passedOn > 0) work += this.answerHeld(link)
    if (work > 0) this.setting.board.parking[link.slot]?.wake()
    return work
  }

  private answerHeld(link: InLink): number {
    const { pending } = link
    const stride = 1 + 2 * link.passedOn
    while (link.pendingAt < pending.length && this.isHeldOnward(pending, link.pendingAt + 1, link.passedOn)) {
      link.pendingAt += stride
    }
    const held = link.pendingAt < pending.length ? (pending[link.pendingAt] as number) : link.noted
    if (link.pendingAt === pending.length || link.pendingAt > 4096) {
      pending.splice(0, link.pendingAt)
      link.pendingAt = 0
    }
    if (held === link.held) return 0
    link.held = held
    link.link.storeHeld(held)
    return 1
  }

  private isHeldOnward(pending: readonly number[], from: number, count: number): boolean {
    for (let n = 0; n < count; n++) {
      const out = this.outs[pending[from + 2 * n] as number] as OutLink
      if (((out.noted - (pending[from + 2 * n + 1] as number)) | 0) <= 0) return false
    }
    return true
  }
}

import type { Arena } from '../memory/arena.ts'
import { copyLongsTwice, copyOnce, copyTwice, LARGEST_LOOPED, type Words } from '../memory/copy.ts'
import {
  FLAG_METADATA,
  FLAG_MIRROR,
  FLAG_MORE,
  HEADER_BYTES,
  hasData,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_HOLDERS,
  RECORD_LENGTH,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import type { SourceMemory } from '../memory/source-memory.ts'
import type { HeldUpdates } from './held.ts'
import { bitsOf, type SlotBits } from './holders.ts'
import { LANE_REQUEST, type Lane, mirrorLane } from './lane.ts'
import { mirrorChoices } from './members.ts'
import { ENTRY_RESERVE, NO_RECORD, type OutLink } from './out-link.ts'
import type { Places } from './places.ts'
import type { Sequencer } from './sequencer.ts'
import { arenaOf, type Setting } from './setting.ts'
import type { SourceIntake } from './source-intake.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const METADATA = FLAG_METADATA
const MIRROR = FLAG_MIRROR
const MORE = FLAG_MORE
const HEADER = HEADER_BYTES
const BYTES = RECORD_BYTES
const FLAGS = RECORD_FLAGS
const HOLDERS = RECORD_HOLDERS
const LENGTH = RECORD_LENGTH
const SEQUENCE = RECORD_SEQUENCE
const SET = RECORD_SET
const SOURCE = RECORD_SOURCE
const VOLUME = RECORD_VOLUME
const NOTHING = NO_RECORD
const LOOPED = LARGEST_LOOPED

/** Updates taken from one source before another one, or a link, has its turn. */
const BATCH = 256

/**
 * Figure 3A: a data update is received from a primary source. The component keeps a copy in its own arena and writes the
 * second one straight into the arena of the other holder; both places are there before the update is taken.
 */
export class Taker {
  /** Updates that found no room, each counted once. */
  waits = 0
  taken = 0
  private readonly setting: Setting
  private readonly outs: readonly OutLink[]
  private readonly own: Lane
  private readonly places: Places
  private readonly held: HeldUpdates
  private readonly sequencer: Sequencer
  private readonly arena: Arena
  private readonly mirrorLane: number
  /** Mirrors of the updates that are taken and sequenced here, for the current batch. */
  private mirrorSlots: readonly number[]
  private mirrorBits: SlotBits
  private readonly mirrorChoices: readonly (readonly number[])[]
  private readonly choiceBits: readonly SlotBits[]
  private readonly isPlain: boolean
  /** The mirrors are always the same. */
  private readonly isDefault: boolean
  /** With too few members for all copies nothing is taken. */
  private readonly isRedundant: boolean
  private turn: number
  private planned = 0
  /** Of the batch being taken: the set that tags it. */
  private set: number
  private published = 0
  private batchBytes = 0
  /** From here to where the own lane is, own copies of which no note was taken yet. */
  private runAt = 0
  /** Four words for each large update of the batch: where it is posted, where both copies are, the slot of the second one. */
  private readonly large = new Int32Array(4 * BATCH)

  constructor(
    setting: Setting,
    outs: readonly OutLink[],
    own: Lane,
    places: Places,
    held: HeldUpdates,
    sequencer: Sequencer
  ) {
    this.setting = setting
    this.outs = outs
    this.own = own
    this.places = places
    this.held = held
    this.sequencer = sequencer
    const { slot, members, eligible, mirrors } = setting
    this.arena = arenaOf(setting, slot)
    this.mirrorLane = mirrorLane(mirrors)
    this.set = setting.firstSet
    this.mirrorChoices = mirrorChoices(eligible, slot, mirrors)
    this.choiceBits = this.mirrorChoices.map((slots) => bitsOf([slot, ...slots]))
    this.isDefault = setting.mirrorTarget === 'default'
    this.isPlain = mirrors === 1 && setting.metadataOnly !== true
    this.isRedundant = members.length > mirrors && this.mirrorChoices.length > 0
    this.turn = 0
    this.mirrorSlots = this.mirrorChoices[0] ?? []
    this.mirrorBits = this.choiceBits[0] ?? { low: 0, high: 0 }
  }

  /** Takes a batch from this source. Returns how many updates it took; the source waits if there was no room. */
  takeFrom(intake: SourceIntake): number {
    if (!this.isRedundant) return 0
    this.loadBatch(intake)
    const available = (this.published - intake.taken) | 0
    if (available <= 0) return 0
    const { memory } = intake
    const most = Math.min(available, BATCH)
    this.sequencer.begin(this.set, most)
    const table = this.setting.board.responsibilityIn(this.set)
    const { ints } = memory
    const before = intake.taken
    const end = (before + most) | 0
    // A transaction is taken whole, and may go beyond.
    while (((end - intake.taken) | 0) > 0) {
      if (this.isPlain) this.takePlain(intake, table, end)
      const ordinal = intake.taken
      if (ordinal === end) break
      const at = memory.entries[ordinal & memory.mask] as number
      const i = at >>> 2
      const flags = ints[i + FLAGS] as number
      if ((flags & MORE) === 0) {
        const bytes = ints[i + BYTES] as number
        const responsible = table[ints[i + VOLUME] as number] as number
        if (!this.hasRoom(responsible, bytes)) break
        if (this.isPlain) this.openFor(responsible, bytes)
        else {
          this.takeOne(intake, ordinal, at, bytes, responsible, flags)
          intake.taken = (ordinal + 1) | 0
        }
      } else if (!this.takeTransaction(intake, table)) break
    }
    this.noteRun()
    const count = (intake.taken - before) | 0
    this.taken += count
    if (count > 0) {
      this.held.hold(this.set, this.batchBytes, count)
      intake.takesIn(this.set, before)
    }
    this.batchBytes = 0
    if (intake.taken !== this.published && count < BATCH) {
      if (!intake.waiting) this.waits++
      intake.waiting = true
    } else intake.waiting = false
    if (count > 0) this.nextMirrors()
    return count
  }

  /**
   * The published position first, the forming set after it: an update that was issued after another one was acknowledged
   * is then never tagged with an earlier set. Overridden in the simulator's broken variants only.
   */
  protected loadBatch(intake: SourceIntake): void {
    this.published = this.loadPublished(intake)
    this.set = this.loadForming()
  }
  protected loadPublished(intake: SourceIntake): number {
    return intake.memory.loadPublished()
  }
  protected loadForming(): number {
    return this.setting.board.loadForming()
  }
  protected tagWith(published: number, set: number): void {
    this.published = published
    this.set = set
  }

  /**
   * What is usual, as far as it goes: one mirror, the bytes of data mirrored, no transaction, room in the chunks that are being
   * filled. The same as `takeOne`, for both roles at once. Each update passes here, so nothing in the loop is ever called that
   * is not compiled into it: what is known of memory before a call is not known after it (docs/decisions/0012-the-hot-path.md).
   */
  private takePlain(intake: SourceIntake, table: Uint8Array, end: number): void {
    const { memory, id } = intake
    const { entries, mask, ints: posted, longs } = memory
    const { own, arena, outs, set, sequencer, large } = this
    const { slot } = this.setting
    const mirror = this.mirrorSlots[0] as number
    const noted = this.held.of(set)
    let ordinal = intake.taken
    let taken = 0
    let larger = 0
    while (ordinal !== end) {
      const at = entries[ordinal & mask] as number
      const i = at >>> 2
      const flags = posted[i + FLAGS] as number
      if ((flags & MORE) !== 0) break
      const bytes = posted[i + BYTES] as number
      const volume = posted[i + VOLUME] as number
      const responsible = table[volume] as number
      const isOwn = responsible === slot
      const out = outs[isOwn ? mirror : responsible] as OutLink
      const { usual } = out
      if (!own.continues(bytes) || !out.takesUpdate || !usual.continues(bytes) || noted.list.isFull) break
      const ownAt = own.reserveBehind(bytes)
      const outAt = usual.reserveBehind(bytes)
      taken += bytes
      if (bytes > LOOPED) {
        large[larger] = at
        large[larger + 1] = ownAt
        large[larger + 2] = outAt
        large[larger + 3] = out.slot
        larger += 4
      }
      copyLongsTwice(longs, at, bytes > LOOPED ? HEADER : bytes, arena.longs, ownAt, out.arena.longs, outAt)
      let sequence = sequencer.giveInBatch(isOwn)
      if (isOwn) sequence = noted.note(volume, sequence, posted[i + LENGTH] as number, id, ordinal, ownAt)
      // With one mirror whoever holds it beside us is the one that it is sent to, in either role.
      this.tagCopy(arena, ownAt, id, out.holders, sequence)
      this.tagCopy(out.arena, outAt, id, out.holders, sequence)
      if (isOwn) out.arena.ints[(outAt >>> 2) + FLAGS] = flags | MIRROR
      const sent = out.sendUpdate(outAt, isOwn ? NOTHING : ownAt)
      intake.keepsCopy(ordinal, ownAt, flags)
      if (isOwn) intake.awaitCopy(ordinal, 0, out.slot, sent)
      else intake.awaitRequest(ordinal, out.slot, sent)
      ordinal = (ordinal + 1) | 0
    }
    intake.taken = ordinal
    this.batchBytes += taken
    if (larger > 0) this.copyLarge(memory, larger)
  }

  /** The data of what is copied by calls, not in a loop; its headers are there. Nobody has been told of it yet. */
  private copyLarge({ ints, bytes }: SourceMemory, end: number): void {
    const { large, arena, outs } = this
    for (let n = 0; n < end; n += 4) {
      const at = large[n] as number
      const from = at + HEADER
      const to = at + (ints[(at >>> 2) + BYTES] as number)
      const out = outs[large[n + 3] as number] as OutLink
      bytes.copy(arena.bytes, (large[n + 1] as number) + HEADER, from, to)
      bytes.copy(out.arena.bytes, (large[n + 2] as number) + HEADER, from, to)
    }
  }

  /** Gets ready what stopped `takePlain`; there must be room. */
  private openFor(responsible: number, bytes: number): void {
    this.openOwnFor(bytes)
    const out = this.outs[responsible === this.setting.slot ? (this.mirrorSlots[0] as number) : responsible] as OutLink
    out.usual.openFor(bytes)
    this.held.withRoom(this.set)
  }

  private hasRoom(responsible: number, bytes: number): boolean {
    if (!this.own.hasRoom(bytes)) return false
    if (responsible !== this.setting.slot) {
      const out = this.outs[responsible] as OutLink
      return out.takesUpdate && (out.lanes[LANE_REQUEST] as Lane).hasRoom(bytes)
    }
    for (const slot of this.mirrorSlots) {
      const out = this.outs[slot] as OutLink
      if (!out.takesUpdate || !(out.lanes[this.mirrorLane] as Lane).hasRoom(bytes)) return false
    }
    return true
  }

  /** Block 304: are we responsible for the volume? There is room for all copies. */
  private takeOne(
    intake: SourceIntake,
    ordinal: number,
    at: number,
    bytes: number,
    responsible: number,
    flags: number
  ): void {
    const isOwn = responsible === this.setting.slot
    const isBare = this.setting.metadataOnly === true && hasData(intake.memory, at)
    const ownBytes = isBare && !isOwn ? HEADER : bytes
    const ownAt = this.placeOwn(ownBytes)
    if (isOwn) this.takeAsResponsible(intake, ordinal, at, bytes, ownAt, isBare)
    else this.takeForOther(intake, ordinal, at, bytes, ownAt, responsible, isBare)
    intake.keepsCopy(ordinal, ownAt, flags)
    this.batchBytes += ownBytes
  }

  /**
   * A place for an own copy; there must be room. They lie one behind the other until a chunk is full: note is taken of all of
   * them at once, before that chunk is closed.
   */
  private placeOwn(bytes: number): number {
    this.openOwnFor(bytes)
    return this.own.reserveBehind(bytes)
  }

  private openOwnFor(bytes: number): void {
    const { own } = this
    if (own.continues(bytes)) return
    this.noteRun()
    own.openFor(bytes)
    this.runAt = own.at
  }

  private noteRun(): void {
    const { at } = this.own
    if (at !== this.runAt) this.places.note(this.runAt, at - this.runAt, this.set)
    this.runAt = at
  }

  /** Blocks 306-310: accept, give the sequence identifier, mirror, keep track of to whom. */
  private takeAsResponsible(
    intake: SourceIntake,
    ordinal: number,
    at: number,
    bytes: number,
    ownAt: number,
    isBare: boolean
  ): void {
    const { ints } = this.arena
    const slots = this.mirrorSlots
    const first = this.outs[slots[0] as number] as OutLink
    const mirrorBytes = isBare ? HEADER : bytes
    const firstAt = (first.lanes[this.mirrorLane] as Lane).reserve(mirrorBytes)
    if (isBare) {
      copyOnce(intake.memory, at, bytes, this.arena, ownAt)
      copyHeader(intake.memory, at, first.arena, firstAt)
    } else copyTwice(intake.memory, at, bytes, this.arena, ownAt, first.arena, firstAt)
    const i = ownAt >>> 2
    const volume = ints[i + VOLUME] as number
    const dataBytes = ints[i + LENGTH] as number
    const given = this.sequencer.give()
    const sequence = this.held.withRoom(this.set).note(volume, given, dataBytes, intake.id, ordinal, ownAt)
    const flags = ints[i + FLAGS] as number
    this.tagCopy(this.arena, ownAt, intake.id, this.mirrorBits, sequence)
    const mirrorFlags = isBare ? flags | METADATA | MIRROR : flags | MIRROR
    this.sendMirror(intake, ordinal, 0, first, firstAt, mirrorFlags, sequence)
    for (let n = 1; n < slots.length; n++) {
      const out = this.outs[slots[n] as number] as OutLink
      const outAt = (out.lanes[this.mirrorLane] as Lane).reserve(mirrorBytes)
      if (isBare) copyHeader(this.arena, ownAt, out.arena, outAt)
      else copyOnce(this.arena, ownAt, bytes, out.arena, outAt)
      this.sendMirror(intake, ordinal, n, out, outAt, mirrorFlags, sequence)
    }
  }

  private sendMirror(
    intake: SourceIntake,
    ordinal: number,
    n: number,
    out: OutLink,
    outAt: number,
    flags: number,
    sequence: number
  ): void {
    this.tagCopy(out.arena, outAt, intake.id, this.mirrorBits, sequence)
    out.arena.ints[(outAt >>> 2) + FLAGS] = flags
    intake.awaitCopy(ordinal, n, out.slot, out.sendCopy(outAt))
  }

  /** Blocks 312-314: accept, mirror to the responsible one; block 316 follows when it answers (out-link.ts). */
  private takeForOther(
    intake: SourceIntake,
    ordinal: number,
    at: number,
    bytes: number,
    ownAt: number,
    responsible: number,
    isBare: boolean
  ): void {
    const out = this.outs[responsible] as OutLink
    const outAt = (out.lanes[LANE_REQUEST] as Lane).reserve(bytes)
    if (isBare) {
      copyOnce(intake.memory, at, bytes, out.arena, outAt)
      copyHeader(intake.memory, at, this.arena, ownAt)
      this.arena.ints[(ownAt >>> 2) + FLAGS] = flagsAt(this.arena, ownAt) | METADATA
    } else copyTwice(intake.memory, at, bytes, this.arena, ownAt, out.arena, outAt)
    const stamp = this.sequencer.stamp()
    this.tagCopy(this.arena, ownAt, intake.id, out.holders, stamp)
    this.tagCopy(out.arena, outAt, intake.id, out.holders, stamp)
    intake.awaitRequest(ordinal, responsible, out.sendUpdate(outAt, ownAt))
  }

  /** What the record of a source does not tell. @param sequence  or, of a request, its time stamp */
  private tagCopy(arena: Arena, address: number, source: number, holders: SlotBits, sequence: number): void {
    const i = address >>> 2
    const { ints } = arena
    ints[i + HOLDERS] = holders.low
    ints[i + HOLDERS + 1] = holders.high
    ints[i + SOURCE] = source
    ints[i + SET] = this.set
    arena.floats[(address >>> 3) + SEQUENCE] = sequence
  }

  /** Takes all parts of a transaction, or none: room for every copy of every part is found first. */
  private takeTransaction(intake: SourceIntake, table: Uint8Array): boolean {
    const { memory } = intake
    const first = intake.taken
    const stamp = ++this.planned
    let last = first
    for (let more = true; more; last = (last + 1) | 0) {
      const i = (memory.entries[last & memory.mask] as number) >>> 2
      more = ((memory.ints[i + FLAGS] as number) & MORE) !== 0
      const bytes = memory.ints[i + BYTES] as number
      const responsible = table[memory.ints[i + VOLUME] as number] as number
      this.own.plan(bytes, stamp)
      if (responsible !== this.setting.slot) this.laneTo(responsible, LANE_REQUEST).plan(bytes, stamp)
      else for (const slot of this.mirrorSlots) this.laneTo(slot, this.mirrorLane).plan(bytes, stamp)
    }
    const parts = (last - first) | 0
    if (!this.planFits(stamp, parts)) return false
    for (let ordinal = first; ordinal !== last; ordinal = (ordinal + 1) | 0) {
      const at = memory.entries[ordinal & memory.mask] as number
      const i = at >>> 2
      const responsible = table[memory.ints[i + VOLUME] as number] as number
      const flags = memory.ints[i + FLAGS] as number
      this.takeOne(intake, ordinal, at, memory.ints[i + BYTES] as number, responsible, flags)
    }
    intake.taken = last
    return true
  }

  private laneTo(slot: number, kind: number): Lane {
    return (this.outs[slot] as OutLink).lanes[kind] as Lane
  }

  /**
   * What is missing is asked for at one holder after the other, in the order of their slots: who waits at one holds places
   * only at holders before it, so takers never wait for each other in a circle, however much of an arena one of them needs.
   */
  private planFits(stamp: number, parts: number): boolean {
    const { members, slot: ownSlot } = this.setting
    let fits = this.planned === stamp
    let asked = false
    for (const slot of members) {
      const out = slot === ownSlot ? undefined : (this.outs[slot] as OutLink)
      for (const lane of out?.lanes ?? [this.own]) {
        const needs = lane.planNeeds(stamp)
        if (lane.planShort(stamp) > 0) {
          if (!asked) lane.want(needs)
          asked = true
          fits = false
        }
        // Each chunk that is opened closes another one: one notice more.
        if (out !== undefined && !out.hasRoom(parts + needs + ENTRY_RESERVE)) fits = false
      }
    }
    return fits
  }

  private nextMirrors(): void {
    if (this.isDefault) return
    this.turn = (this.turn + 1) % this.mirrorChoices.length
    this.mirrorSlots = this.mirrorChoices[this.turn] as readonly number[]
    this.mirrorBits = this.choiceBits[this.turn] as SlotBits
  }
}

/** A copy without the bytes of data. */
function copyHeader(from: Words, at: number, to: Arena, toAt: number): void {
  copyOnce(from, at, HEADER, to, toAt)
  to.ints[(toAt >>> 2) + BYTES] = HEADER
}

function flagsAt({ ints }: Arena, address: number): number {
  return ints[(address >>> 2) + FLAGS] as number
}

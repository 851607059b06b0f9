import { LINE_BYTES, LINE_INTS, linesFor } from './lines.ts'
import { PARKING_INTS, Parking } from './parking.ts'
import { SET_WINDOW, SET_WINDOW_MASK } from './source-memory.ts'

/**
 * The board: what the control thread tells all components, and what each of them tells it, in words that only grow.
 *
 *      group lines      forming | sealed | transfer | secured | commit | apply | shutdown | timer | group sequence ...
 *      member lines     one per slot: quiet, manifested, discarded, pressure, mail, attached sources ...
 *      statistics       one per slot: held updates and bytes, taken, rejected, waits (not ordered with anything)
 *      secondary lines  one per secondary component: journaled, applied, written bytes; committed, applying, marked; the last
 *                       one is the spool's: journaled is what it keeps, applied what it has removed again
 *      parking          one line per slot and secondary component, and one for the spool
 *      responsibility   SET_WINDOW tables of one byte a volume: the slot that is responsible
 *      set facts        per set of the window what its commit record says; then, per secondary component and set of the window,
 *                       what its journal holds of the set
 *      samples          per slot a small ring of measured acknowledge latencies in microseconds
 *
 * Set identifiers here are their low 32 bits (set-identifier.ts). The table of a set is written before the forming set
 * becomes that set, so whoever has loaded the forming set may read it plainly.
 */
export interface BoardLayout {
  readonly slots: number
  readonly secondaries: number
  readonly volumes: number
}

const FORMING = 0
const SEALED = 1
const TRANSFER = 2
const SECURED = 3
const COMMIT = 4
const APPLY = 5
const SHUTDOWN = 6
const DOORBELL = 7
const NEAR = 8
const VIEW = 9
const LENIENT = 10
const OPENED = 11
const EPOCH = 12
const SPOOL = 13
const UNSPOOL = 14
const STALL = 15
const GROUP_LINES = 16

const QUIET = 0
const MANIFESTED = 1
const DISCARDED = 2
const PRESSURE = 3
const MAIL = 4
const VIEW_DONE = 5
const BEAT = 6
const IDENTITY = 7
const SHOWN = 8
const LACKS = 9
const OLDEST_LACKING = 10
const NO_ROOM = 11
/** Of a member's line, in float64 words. */
const DEATH = 6
/** Of the view's line, each as bits of slots 0..31 and 32..63. */
const FRESH = 1
const MEMBERS = 3
const ELIGIBLE = 5
const STOOD = 7

/**
 * Phases of a change of view; the word on the board is view * 4 + phase.
 *   run      the view stands
 *   stop     nobody takes, notes or acknowledges
 *   rebuild  acknowledged positions are final: everyone keeps exactly what was acknowledged
 *   restore  what was lost with a component is given to the one in its place
 */
export const PHASE_RUN = 0
export const PHASE_STOP = 1
export const PHASE_REBUILD = 2
export const PHASE_RESTORE = 3
/** The word of the view that a group begins with. */
export const FIRST_VIEW = PHASE_RUN

/** Where sets are sent: each way has an epoch of its own. */
export const WAY_SECONDARY = 0
export const WAY_SPOOL = 1
export type WayNumber = typeof WAY_SECONDARY | typeof WAY_SPOOL
export const FIRST_EPOCH = 0
/** Of a component's pressure. */
export const ALL_USED = 2

/** What the component of a slot is about, for those who look at the group. */
const SHOWN_STATES = ['empty', 'active', 'joining', 'leaving', 'failed'] as const
export type ShownState = (typeof SHOWN_STATES)[number]

/** Statistics of one component, float64 each. */
export const STAT_HELD_UPDATES = 0
export const STAT_HELD_BYTES = 1
export const STAT_TAKEN = 2
export const STAT_REJECTED = 3
export const STAT_WAITS = 4
export const STAT_RECEIVED = 5
export const STAT_FREE_CHUNKS = 6
/** Of the change of view that was last. */
export const STAT_MOVED_UPDATES = 7
export const STAT_MOVED_BYTES = 8
const STATS = 16

/** Of one set, float64 each: what its commit record says. Written by the control thread before the set may be transferred. */
const SET_FACTS = 4
/** Of one set in one secondary component's journal, float64 each: which set (whole number), its updates, its data bytes. */
const PART_FACTS = 4

const SAMPLES = 2048
const SAMPLE_INTS = LINE_INTS + SAMPLES

export class Board {
  readonly buffer: SharedArrayBuffer
  readonly layout: BoardLayout
  /** [set & SET_WINDOW_MASK][volume] = slot. */
  readonly responsibility: readonly Uint8Array<SharedArrayBuffer>[]
  readonly statistics: readonly Float64Array<SharedArrayBuffer>[]
  readonly parking: readonly Parking[]
  /** [(set & SET_WINDOW_MASK) * 4]: consistency time (ms since the epoch), updates, bytes. */
  readonly setFacts: Float64Array<SharedArrayBuffer>
  /** [(secondary * SET_WINDOW + (set & SET_WINDOW_MASK)) * 4] */
  private readonly partFacts: Float64Array<SharedArrayBuffer>
  private readonly group: Int32Array<SharedArrayBuffer>
  private readonly near: Float64Array<SharedArrayBuffer>
  private readonly spooled: Float64Array<SharedArrayBuffer>
  private readonly timers: BigInt64Array<SharedArrayBuffer>
  private readonly members: Int32Array<SharedArrayBuffer>
  /** The same lines. */
  private readonly memberTimes: Float64Array<SharedArrayBuffer>
  private readonly secondaries: Int32Array<SharedArrayBuffer>
  /** The same lines: the fifth float64 of each. */
  private readonly writtenBytes: Float64Array<SharedArrayBuffer>
  private readonly samples: readonly Int32Array<SharedArrayBuffer>[]

  constructor(buffer: SharedArrayBuffer, layout: BoardLayout) {
    this.buffer = buffer
    this.layout = layout
    let at = 0
    const take = (bytes: number): number => {
      const start = at
      at += linesFor(bytes)
      return start
    }
    // One line per word: a component that waits for `secured` is not disturbed by `forming`.
    this.group = new Int32Array(buffer, take(GROUP_LINES * LINE_BYTES), GROUP_LINES * LINE_INTS)
    this.near = new Float64Array(buffer, NEAR * LINE_BYTES, 1)
    this.spooled = new Float64Array(buffer, SPOOL * LINE_BYTES + LINE_BYTES / 2, 1)
    // Line 0 the common timer; then one group-wide counter for each set in the window.
    const timersAt = take((1 + SET_WINDOW) * LINE_BYTES)
    this.timers = new BigInt64Array(buffer, timersAt, (1 + SET_WINDOW) * (LINE_BYTES / 8))
    const membersAt = take(layout.slots * LINE_BYTES)
    this.members = new Int32Array(buffer, membersAt, layout.slots * LINE_INTS)
    this.memberTimes = new Float64Array(buffer, membersAt, layout.slots * (LINE_BYTES / 8))
    const statsAt = take(layout.slots * LINE_BYTES)
    this.statistics = Array.from(
      { length: layout.slots },
      (_, slot) => new Float64Array(buffer, statsAt + slot * LINE_BYTES, STATS)
    )
    const secondaryLines = layout.secondaries + 1
    const secondariesAt = take(secondaryLines * LINE_BYTES)
    this.secondaries = new Int32Array(buffer, secondariesAt, secondaryLines * LINE_INTS)
    this.writtenBytes = new Float64Array(buffer, secondariesAt, secondaryLines * (LINE_BYTES / 8))
    const places = layout.slots + layout.secondaries + 1
    const parkingAt = take(places * PARKING_INTS * 4)
    const parkingWords = new Int32Array(buffer, parkingAt, places * PARKING_INTS)
    this.parking = Array.from({ length: places }, (_, place) => new Parking(parkingWords, place * PARKING_INTS))
    this.responsibility = Array.from(
      { length: SET_WINDOW },
      () => new Uint8Array(buffer, take(layout.volumes), layout.volumes)
    )
    this.setFacts = new Float64Array(buffer, take(SET_WINDOW * SET_FACTS * 8), SET_WINDOW * SET_FACTS)
    const partFacts = Math.max(1, layout.secondaries) * SET_WINDOW * PART_FACTS
    this.partFacts = new Float64Array(buffer, take(partFacts * 8), partFacts)
    const samplesAt = take(layout.slots * SAMPLE_INTS * 4)
    this.samples = Array.from(
      { length: layout.slots },
      (_, slot) => new Int32Array(buffer, samplesAt + slot * SAMPLE_INTS * 4, SAMPLE_INTS)
    )
  }

  static allocate(layout: BoardLayout): SharedArrayBuffer {
    const places = layout.slots + layout.secondaries + 1
    const lines = GROUP_LINES + 1 + SET_WINDOW + layout.slots * 2 + layout.secondaries + 1 + places
    return new SharedArrayBuffer(
      lines * LINE_BYTES +
        SET_WINDOW * linesFor(layout.volumes) +
        linesFor(SET_WINDOW * SET_FACTS * 8) +
        linesFor(Math.max(1, layout.secondaries) * SET_WINDOW * PART_FACTS * 8) +
        linesFor(layout.slots * SAMPLE_INTS * 4)
    )
  }

  /** The spool's place among the lines of secondary components, and its parking. */
  get spoolIndex(): number {
    return this.layout.secondaries
  }
  get spoolParking(): Parking {
    return this.parking[this.layout.slots + this.layout.secondaries] as Parking
  }

  // What the control thread tells.

  /** By volume: the slot that is responsible for it in this set. */
  responsibilityIn(set: number): Uint8Array<SharedArrayBuffer> {
    return this.responsibility[set & SET_WINDOW_MASK] as Uint8Array<SharedArrayBuffer>
  }

  /** Load it after the published position of the ring whose records are then tagged with it, never before. */
  loadForming(): number {
    return Atomics.load(this.group, FORMING * LINE_INTS)
  }
  storeForming(set: number): void {
    Atomics.store(this.group, FORMING * LINE_INTS, set)
  }
  /** The forming set as a whole number, roughly: what the low bits of recent sets are expanded with. */
  loadNear(): number {
    return this.near[0] as number
  }
  storeNear(set: number): void {
    this.near[0] = set
  }
  /** All components are quiet in sets up to it: their tables are final. */
  loadSealed(): number {
    return Atomics.load(this.group, SEALED * LINE_INTS)
  }
  storeSealed(set: number): void {
    Atomics.store(this.group, SEALED * LINE_INTS, set)
  }
  /** Sets up to it may be sent to the secondary. Put back when a set is not sent any more, before the way's epoch changes. */
  loadTransfer(): number {
    return Atomics.load(this.group, TRANSFER * LINE_INTS)
  }
  storeTransfer(set: number): void {
    Atomics.store(this.group, TRANSFER * LINE_INTS, set)
  }
  /** The oldest set that may still be on its way there; one is sent before those after it. Stored before `transfer`, loaded after. */
  loadTransferFrom(): number {
    return Atomics.load(this.group, TRANSFER * LINE_INTS + 1)
  }
  storeTransferFrom(set: number): void {
    Atomics.store(this.group, TRANSFER * LINE_INTS + 1, set)
  }
  /** Sets up to it are secured, or kept by the spool: components hold nothing of them any more. */
  loadSecured(): number {
    return Atomics.load(this.group, SECURED * LINE_INTS)
  }
  storeSecured(set: number): void {
    Atomics.store(this.group, SECURED * LINE_INTS, set)
  }
  /** All parts of sets up to it are journaled: the commit record may be written. */
  loadCommit(): number {
    return Atomics.load(this.group, COMMIT * LINE_INTS)
  }
  storeCommit(set: number): void {
    Atomics.store(this.group, COMMIT * LINE_INTS, set)
  }
  /** Sets up to it may be applied to the secondary volumes. */
  loadApply(): number {
    return Atomics.load(this.group, APPLY * LINE_INTS)
  }
  storeApply(set: number): void {
    Atomics.store(this.group, APPLY * LINE_INTS, set)
  }
  /** Sets up to it may be sent to the spool. Put back like `transfer`. */
  loadSpool(): number {
    return Atomics.load(this.group, SPOOL * LINE_INTS)
  }
  storeSpool(set: number): void {
    Atomics.store(this.group, SPOOL * LINE_INTS, set)
  }
  /** Bytes in the spool, for those who look. */
  loadSpooledBytes(): number {
    return this.spooled[0] as number
  }
  storeSpooledBytes(bytes: number): void {
    this.spooled[0] = bytes
  }
  /** The set that secondary components are to take from the spool; undefined when there is none. */
  loadUnspool(): number | undefined {
    if (Atomics.load(this.group, UNSPOOL * LINE_INTS + 1) === 0) return undefined
    return Atomics.load(this.group, UNSPOOL * LINE_INTS)
  }
  storeUnspool(set: number | undefined): void {
    if (set !== undefined) Atomics.store(this.group, UNSPOOL * LINE_INTS, set)
    Atomics.store(this.group, UNSPOOL * LINE_INTS + 1, set === undefined ? 0 : 1)
  }
  /**
   * The epoch of a way: parts of sets that were sent in an earlier one are void, whoever received them starts again. Odd
   * while members change: nobody sends then.
   */
  loadEpoch(way: WayNumber): number {
    return Atomics.load(this.group, EPOCH * LINE_INTS + way)
  }
  /** After memory was read: by an exchange, since what is read plainly before a mere load may be read after it. */
  confirmEpoch(way: WayNumber): number {
    return Atomics.add(this.group, EPOCH * LINE_INTS + way, 0)
  }
  storeEpoch(way: WayNumber, epoch: number): void {
    Atomics.store(this.group, EPOCH * LINE_INTS + way, epoch)
  }
  /** For tests: 1 while secondary components do nothing. */
  loadStall(): number {
    return Atomics.load(this.group, STALL * LINE_INTS)
  }
  storeStall(value: number): void {
    Atomics.store(this.group, STALL * LINE_INTS, value)
  }
  /** How far spare memory is lent, as what was posted must be taken though memory is short (places.ts). */
  loadLenient(): number {
    return Atomics.load(this.group, LENIENT * LINE_INTS)
  }
  storeLenient(value: number): void {
    Atomics.store(this.group, LENIENT * LINE_INTS, value)
  }
  /** Counts sources, by the host, before one can be used: a source that the control thread has not heard of yet is known of. */
  addOpened(): void {
    Atomics.add(this.group, OPENED * LINE_INTS, 1)
  }
  loadOpened(): number {
    return Atomics.load(this.group, OPENED * LINE_INTS)
  }
  loadShutdown(): number {
    return Atomics.load(this.group, SHUTDOWN * LINE_INTS)
  }
  storeShutdown(value: number): void {
    Atomics.store(this.group, SHUTDOWN * LINE_INTS, value)
  }

  loadView(): number {
    return Atomics.load(this.group, VIEW * LINE_INTS)
  }
  storeView(word: number): void {
    Atomics.store(this.group, VIEW * LINE_INTS, word)
  }
  /** Who belongs to the view, who of them may be given copies, who begins empty. Before the phase in which it is needed. */
  storeMembership(members: readonly number[], eligible: readonly number[], fresh: readonly number[]): void {
    this.storeBits(MEMBERS, members)
    this.storeBits(ELIGIBLE, eligible)
    this.storeBits(FRESH, fresh)
  }
  /** Slots in rising order. */
  loadMembers(): number[] {
    return this.loadBits(MEMBERS)
  }
  loadEligible(): number[] {
    return this.loadBits(ELIGIBLE)
  }
  loadFresh(): number[] {
    return this.loadBits(FRESH)
  }
  isMember(slot: number): boolean {
    return (Atomics.load(this.group, VIEW * LINE_INTS + MEMBERS + (slot >>> 5)) & (1 << (slot & 31))) !== 0
  }
  private storeBits(at: number, slots: readonly number[]): void {
    const bits: [number, number] = [0, 0]
    for (const slot of slots) bits[slot < 32 ? 0 : 1] |= 1 << (slot & 31)
    Atomics.store(this.group, VIEW * LINE_INTS + at, bits[0])
    Atomics.store(this.group, VIEW * LINE_INTS + at + 1, bits[1])
  }
  private loadBits(at: number): number[] {
    const slots: number[] = []
    for (let slot = 0; slot < this.layout.slots; slot++) {
      if ((Atomics.load(this.group, VIEW * LINE_INTS + at + (slot >>> 5)) & (1 << (slot & 31))) !== 0) slots.push(slot)
    }
    return slots
  }
  /** The last view in which everything was restored: what it moved counts. Stored before that view's phase `run`. */
  loadStood(): number {
    return Atomics.load(this.group, VIEW * LINE_INTS + STOOD)
  }
  storeStood(view: number): void {
    Atomics.store(this.group, VIEW * LINE_INTS + STOOD, view)
  }
  /** The component in this slot, by its identifier, which is never used again; -1 when the slot is empty. */
  loadIdentity(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + IDENTITY) - 1
  }
  storeIdentity(slot: number, id: number): void {
    Atomics.store(this.members, slot * LINE_INTS + IDENTITY, id + 1)
  }

  storeShown(slot: number, state: ShownState): void {
    Atomics.store(this.members, slot * LINE_INTS + SHOWN, SHOWN_STATES.indexOf(state))
  }
  loadShown(slot: number): ShownState {
    return SHOWN_STATES[Atomics.load(this.members, slot * LINE_INTS + SHOWN)] ?? 'empty'
  }

  // What a component tells.

  /** A sign of life, at each turn of its duty cycle. Not ordered with anything. */
  beat(slot: number): void {
    const at = slot * LINE_INTS + BEAT
    this.members[at] = ((this.members[at] as number) + 1) | 0
  }
  loadBeat(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + BEAT)
  }
  /** When it dies, by clockMicroseconds, where that is known beforehand (tests): failovers are timed from there. 0: not known. */
  storeDeath(slot: number, microseconds: number): void {
    this.memberTimes[slot * (LINE_BYTES / 8) + DEATH] = microseconds
  }
  loadDeath(slot: number): number {
    return this.memberTimes[slot * (LINE_BYTES / 8) + DEATH] as number
  }

  /** The word of the view of which it has done its part. */
  loadViewDone(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + VIEW_DONE)
  }
  storeViewDone(slot: number, word: number): void {
    Atomics.store(this.members, slot * LINE_INTS + VIEW_DONE, word)
  }
  /** Whether it has done its part of this phase of this view, or of a later one of the same view. */
  isViewDone(slot: number, word: number): boolean {
    const done = this.loadViewDone(slot)
    return done >= word && done >> 2 === word >> 2
  }

  /** It cannot hold what it would have to take over. */
  storeNoRoom(slot: number, value: number): void {
    Atomics.store(this.members, slot * LINE_INTS + NO_ROOM, value)
  }
  loadNoRoom(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + NO_ROOM)
  }

  /** The earliest set of which this component lacks bytes that it has to fetch again; undefined when none. */
  storeMissing(slot: number, set: number | undefined): void {
    if (set !== undefined) Atomics.store(this.members, slot * LINE_INTS + OLDEST_LACKING, set)
    Atomics.store(this.members, slot * LINE_INTS + LACKS, set === undefined ? 0 : 1)
  }
  loadMissing(slot: number): number | undefined {
    if (Atomics.load(this.members, slot * LINE_INTS + LACKS) === 0) return undefined
    return Atomics.load(this.members, slot * LINE_INTS + OLDEST_LACKING)
  }

  loadQuiet(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + QUIET)
  }
  storeQuiet(slot: number, set: number): void {
    Atomics.store(this.members, slot * LINE_INTS + QUIET, set)
  }
  loadManifested(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + MANIFESTED)
  }
  storeManifested(slot: number, set: number): void {
    Atomics.store(this.members, slot * LINE_INTS + MANIFESTED, set)
  }
  loadDiscarded(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + DISCARDED)
  }
  storeDiscarded(slot: number, set: number): void {
    Atomics.store(this.members, slot * LINE_INTS + DISCARDED, set)
  }
  /** 1 while someone waits for memory of this component; ALL_USED when its spare memory, all of it lent, is used as well. */
  loadPressure(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + PRESSURE)
  }
  storePressure(slot: number, value: number): void {
    Atomics.store(this.members, slot * LINE_INTS + PRESSURE, value)
  }
  /** Counts what was put into the component's mailbox. */
  loadMail(slot: number): number {
    return Atomics.load(this.members, slot * LINE_INTS + MAIL)
  }
  addMail(slot: number): void {
    Atomics.add(this.members, slot * LINE_INTS + MAIL, 1)
  }

  // What a secondary component tells: sets up to it are received whole, journaled, in its volumes; and, the first one only:
  // committed, being applied (said before any byte is touched), marked as applied.

  loadJournaled(secondary: number): number {
    return Atomics.load(this.secondaries, secondary * LINE_INTS)
  }
  storeJournaled(secondary: number, set: number): void {
    Atomics.store(this.secondaries, secondary * LINE_INTS, set)
  }
  loadCommitted(): number {
    return Atomics.load(this.secondaries, 1)
  }
  storeCommitted(set: number): void {
    Atomics.store(this.secondaries, 1, set)
  }
  loadApplied(secondary: number): number {
    return Atomics.load(this.secondaries, secondary * LINE_INTS + 2)
  }
  storeApplied(secondary: number, set: number): void {
    Atomics.store(this.secondaries, secondary * LINE_INTS + 2, set)
  }

  loadApplying(): number {
    return Atomics.load(this.secondaries, 3)
  }
  storeApplying(set: number): void {
    Atomics.store(this.secondaries, 3, set)
  }
  loadMarked(): number {
    return Atomics.load(this.secondaries, 4)
  }
  storeMarked(set: number): void {
    Atomics.store(this.secondaries, 4, set)
  }
  /** The epoch of its way that it has begun; whatever it had journaled before was told before. */
  loadSecondaryEpoch(secondary: number): number {
    return Atomics.load(this.secondaries, secondary * LINE_INTS + 5)
  }
  storeSecondaryEpoch(secondary: number, epoch: number): void {
    Atomics.store(this.secondaries, secondary * LINE_INTS + 5, epoch)
  }
  /** All parts of sets up to it had come, once: what was not journaled may have been dropped since, and comes again. */
  loadReceived(secondary: number): number {
    return Atomics.load(this.secondaries, secondary * LINE_INTS + 7)
  }
  storeReceived(secondary: number, set: number): void {
    Atomics.store(this.secondaries, secondary * LINE_INTS + 7, set)
  }
  /** 1 while it waits for room on its disk. */
  loadNoSpace(secondary: number): number {
    return Atomics.load(this.secondaries, secondary * LINE_INTS + 6)
  }
  storeNoSpace(secondary: number, value: number): void {
    Atomics.store(this.secondaries, secondary * LINE_INTS + 6, value)
  }
  /** Bytes that reached the volumes for the set last applied; written before `applied`. */
  loadWritten(secondary: number): number {
    return this.writtenBytes[secondary * (LINE_BYTES / 8) + 8] as number
  }
  storeWritten(secondary: number, bytes: number): void {
    this.writtenBytes[secondary * (LINE_BYTES / 8) + 8] = bytes
  }

  /** The control thread's doorbell: true for the one who has to ring, as nobody has since it was answered. */
  pressDoorbell(): boolean {
    return Atomics.exchange(this.group, DOORBELL * LINE_INTS, 1) === 0
  }
  answerDoorbell(): void {
    Atomics.store(this.group, DOORBELL * LINE_INTS, 0)
  }

  /**
   * The common timer: the first of `count` time stamps, microseconds since the epoch, none of which was ever given before:
   * max(clock, last + 1). Load the published position of the ring before.
   */
  takeStamps(clockMicroseconds: number, count: number): number {
    const clock = BigInt(Math.floor(clockMicroseconds))
    for (;;) {
      const last = Atomics.load(this.timers, 0)
      const first = clock > last ? clock : last + 1n
      if (Atomics.compareExchange(this.timers, 0, last, first + BigInt(count) - 1n) === last) return Number(first)
    }
  }

  /** The first of `count` group-wide sequence identifiers of a set. */
  takeGroupSequences(set: number, count: number): number {
    const at = (1 + (set & SET_WINDOW_MASK)) * (LINE_BYTES / 8)
    return Number(Atomics.add(this.timers, at, BigInt(count))) + 1
  }
  /** Before a set begins, by the control thread. */
  resetGroupSequence(set: number): void {
    Atomics.store(this.timers, (1 + (set & SET_WINDOW_MASK)) * (LINE_BYTES / 8), 0n)
  }

  storeSetFacts(set: number, consistencyTime: number, updates: number, bytes: number): void {
    const at = (set & SET_WINDOW_MASK) * SET_FACTS
    this.setFacts[at] = consistencyTime
    this.setFacts[at + 1] = updates
    this.setFacts[at + 2] = bytes
  }
  setFact(set: number, which: 0 | 1 | 2): number {
    return this.setFacts[(set & SET_WINDOW_MASK) * SET_FACTS + which] as number
  }

  /** What a secondary component has journaled of a set (whole number); before it tells that it has. */
  storePartFacts(secondary: number, set: number, updates: number, bytes: number): void {
    const at = this.partFactsAt(secondary, set)
    this.partFacts[at + 1] = updates
    this.partFacts[at + 2] = bytes
    this.partFacts[at] = set
  }
  /** Whether it has journaled a part of this set: one that holds nothing is not sent. The set is told journaled, not secured. */
  hasPart(secondary: number, set: number): boolean {
    return this.partFacts[this.partFactsAt(secondary, set)] === set
  }
  partFact(secondary: number, set: number, which: 1 | 2): number {
    return this.partFacts[this.partFactsAt(secondary, set) + which] as number
  }
  private partFactsAt(secondary: number, set: number): number {
    return (secondary * SET_WINDOW + (set & SET_WINDOW_MASK)) * PART_FACTS
  }

  // Latency samples: the component overwrites the oldest, whoever reads keeps a cursor of its own.

  addSample(slot: number, microseconds: number): void {
    const ring = this.samples[slot] as Int32Array<SharedArrayBuffer>
    const count = ring[0] as number
    ring[LINE_INTS + (count & (SAMPLES - 1))] = microseconds
    Atomics.store(ring, 0, (count + 1) | 0)
  }
  /** Calls `each` with the samples since `cursor`, as far as they are still there; returns the next cursor. */
  readSamples(slot: number, cursor: number, each: (microseconds: number) => void): number {
    const ring = this.samples[slot] as Int32Array<SharedArrayBuffer>
    const count = Atomics.load(ring, 0)
    const first = ((count - cursor) | 0) > SAMPLES ? (count - SAMPLES) | 0 : cursor
    for (let at = first; at !== count; at = (at + 1) | 0) each(ring[LINE_INTS + (at & (SAMPLES - 1))] as number)
    return count
  }
}

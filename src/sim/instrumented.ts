import type { Arena } from '../memory/arena.ts'
import { Board, type BoardLayout, type WayNumber } from '../memory/board.ts'
import { Link } from '../memory/link.ts'
import { RECORD_BYTES } from '../memory/record.ts'
import { type SourceLayout, SourceMemory } from '../memory/source-memory.ts'
import { Places } from '../protocol/places.ts'
import { Violation } from './violation.ts'

/**
 * The memory of the real system, with a point at each atomic access at which other actors may run: what a thread sees between
 * two of its loads is then as arbitrary as on real threads.
 */
export interface Interleaving {
  /** @param pausesOneIn  now and then the thread sleeps here for as long as a whole set takes */
  point(pausesOneIn?: number): void
  /** Something is on its way to the one that runs: it may not sleep yet. */
  keepAwake(): void
}

/** Between the two loads on whose order the consistent cut rests, long pauses are frequent. */
const BETWEEN_CUT_LOADS = 30
/** What follows is a sync, during which the next set comes. */
const WHILE_SYNCING = 2

export class SimBoard extends Board {
  private readonly interleaving: Interleaving
  /** Sets that were sent while an earlier one was on its way. */
  overlapped = 0

  constructor(layout: BoardLayout, interleaving: Interleaving) {
    super(Board.allocate(layout), layout)
    this.interleaving = interleaving
  }

  override loadForming(): number {
    const value = super.loadForming()
    this.interleaving.point(BETWEEN_CUT_LOADS)
    return value
  }
  override storeForming(set: number): void {
    super.storeForming(set)
    this.interleaving.point()
  }
  override storeSealed(set: number): void {
    super.storeSealed(set)
    this.interleaving.point()
  }
  override storeQuiet(slot: number, set: number): void {
    super.storeQuiet(slot, set)
    this.interleaving.point()
  }
  override storeManifested(slot: number, set: number): void {
    super.storeManifested(slot, set)
    this.interleaving.point()
  }
  override storeSecured(set: number): void {
    super.storeSecured(set)
    this.interleaving.point()
  }
  override loadSecured(): number {
    const value = super.loadSecured()
    this.interleaving.point()
    return value
  }
  override loadTransfer(): number {
    const value = super.loadTransfer()
    this.interleaving.point()
    return value
  }
  override storeTransfer(set: number): void {
    if (super.loadTransferFrom() !== set) this.overlapped++
    super.storeTransfer(set)
  }
  override loadEpoch(way: WayNumber): number {
    const value = super.loadEpoch(way)
    this.interleaving.point()
    return value
  }
  override confirmEpoch(way: WayNumber): number {
    const value = super.confirmEpoch(way)
    this.interleaving.point()
    return value
  }
  override loadSpool(): number {
    const value = super.loadSpool()
    this.interleaving.point()
    return value
  }
  override loadUnspool(): number | undefined {
    const value = super.loadUnspool()
    this.interleaving.point()
    return value
  }
  override storeReceived(index: number, set: number): void {
    super.storeReceived(index, set)
    this.interleaving.point(WHILE_SYNCING)
  }
  override storeJournaled(index: number, set: number): void {
    super.storeJournaled(index, set)
    this.interleaving.point()
  }
  override storeDiscarded(slot: number, set: number): void {
    super.storeDiscarded(slot, set)
    this.interleaving.point()
  }
  override takeStamps(clockMicroseconds: number, count: number): number {
    const first = super.takeStamps(clockMicroseconds, count)
    this.interleaving.point()
    return first
  }
  override takeGroupSequences(set: number, count: number): number {
    const first = super.takeGroupSequences(set, count)
    this.interleaving.point()
    return first
  }
}

export class SimLink extends Link {
  private readonly interleaving: Interleaving
  /** Looks at what was published before it is seen: a slow link. */
  private readonly slowness: number
  private looks = 0
  private seen = 0
  /** The last answer that the sender saw. */
  private answered = 0

  constructor(memory: SharedArrayBuffer, capacity: number, interleaving: Interleaving, slowness = 1) {
    super(memory, capacity)
    this.interleaving = interleaving
    this.slowness = slowness
  }

  override restartSender(): void {
    this.answered = 0
    super.restartSender()
  }
  override restartHolder(): void {
    this.seen = 0
    super.restartHolder()
  }
  override loadPublished(): number {
    const value = super.loadPublished()
    this.interleaving.point()
    if (value === this.seen || this.slowness === 1) return value
    if (++this.looks % this.slowness !== 0) {
      this.interleaving.keepAwake()
      return this.seen
    }
    this.seen = value
    return value
  }
  override publish(ordinal: number): void {
    if (((ordinal - super.loadNoted()) | 0) > this.capacity) {
      throw new Violation('I7', 'entries were published over entries that their reader has not released')
    }
    super.publish(ordinal)
    this.interleaving.point()
  }
  override loadNoted(): number {
    const value = super.loadNoted()
    // Counting on from there would take the sender once around all ordinals.
    if (((value - this.answered) | 0) < 0) {
      throw new Violation('I7', 'a link was restarted under a sender that goes on')
    }
    this.answered = value
    this.interleaving.point()
    return value
  }
  override storeNoted(ordinal: number): void {
    super.storeNoted(ordinal)
    this.interleaving.point()
  }
  override loadHeld(): number {
    const value = super.loadHeld()
    this.interleaving.point()
    return value
  }
  override storeHeld(ordinal: number): void {
    super.storeHeld(ordinal)
    this.interleaving.point()
  }
}

export class SimSourceMemory extends SourceMemory {
  private readonly interleaving: Interleaving
  private readonly onAcknowledged: (from: number, to: number) => void

  constructor(layout: SourceLayout, interleaving: Interleaving, onAcknowledged: (from: number, to: number) => void) {
    super(SourceMemory.allocate(layout), layout)
    this.interleaving = interleaving
    this.onAcknowledged = onAcknowledged
  }

  override loadPublished(): number {
    const value = super.loadPublished()
    this.interleaving.point()
    return value
  }
  override publish(ordinal: number): boolean {
    const isDozing = super.publish(ordinal)
    this.interleaving.point()
    return isDozing
  }
  override release(ordinal: number): void {
    this.onAcknowledged(super.loadReleased(), ordinal)
    super.release(ordinal)
    this.interleaving.point()
  }
  override storeSetBegin(set: number, ordinal: number): void {
    super.storeSetBegin(set, ordinal)
    this.interleaving.point()
  }
}

/** Tells the checker what a component holds, from the instant at which it has taken note to that at which it discards. */
export interface HoldingObserver {
  held(address: number): void
  discarded(chunk: number): void
}

export function observedPlaces(arena: Arena, observer: HoldingObserver, base: typeof Places = Places): typeof Places {
  return class extends base {
    override note(address: number, bytes: number, set: number): void {
      super.note(address, bytes, set)
      for (let at = address; at < address + bytes; at += arena.ints[(at >>> 2) + RECORD_BYTES] as number) {
        observer.held(at)
      }
    }
    protected override giveBack(chunk: number): void {
      observer.discarded(chunk)
      super.giveBack(chunk)
    }
  }
}

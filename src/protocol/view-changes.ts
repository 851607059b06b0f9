import {
  type Board,
  PHASE_REBUILD,
  PHASE_RESTORE,
  PHASE_RUN,
  PHASE_STOP,
  WAY_SECONDARY,
  WAY_SPOOL
} from '../memory/board.ts'
import { SOURCE_CLOSED } from '../memory/source-memory.ts'
import { attachSources } from './attachment.ts'
import type { CountedSource } from './conservation.ts'
import type { FinalPositions } from './rebuild.ts'

const EVEN = 0
const ODD = 1

export interface ViewSetting {
  readonly board: Board
  /** Slots of the founders. */
  readonly members: readonly number[]
  readonly mirrors: number
  readonly sources: ReadonlySet<CountedSource>
  /** Nobody takes any more: gives volumes of members that left to others, in every unsecured set. */
  repairResponsibility(members: readonly number[], eligible: readonly number[]): void
  /** Acknowledged positions are final and sources are attached (their memory says where): members are told before they rebuild. */
  publish(positions: FinalPositions): void
  /** Everything was restored. False to be asked again; throws if something acknowledged is not there. */
  isConserved(): boolean
  /** Roles are given anew, copies not yet. */
  onReassigned(view: number): void
  onView(view: number): void
  wakeAll(): void
}

/**
 * Changes of view, as the control thread leads them: stop, rebuild, restore, run. One procedure for everything: failure, join,
 * leave, moved sources, a restarted secondary component. Another of these at any step begins it again, and whoever had not
 * been in a view that stood begins empty again.
 */
export class ViewChanges {
  private readonly setting: ViewSetting
  private view = 0
  private phase = PHASE_RUN
  private slots: number[]
  /** Out, and another component is on its way into the same slot. */
  private readonly awaited = new Set<number>()
  /** Not yet in a view that stood. */
  private readonly fresh = new Set<number>()
  /** They take no volumes, sources or copies any more. */
  private readonly leaving = new Set<number>()
  /** On their way out: their threads are ending. */
  private readonly going = new Set<number>()
  /** Told to end, or over, and the thread is not fenced yet. */
  private readonly ending = new Set<number>()

  constructor(setting: ViewSetting) {
    this.setting = setting
    this.slots = [...setting.members]
    setting.board.storeMembership(this.slots, this.slots, [])
  }

  get stands(): boolean {
    return this.phase === PHASE_RUN
  }
  get current(): number {
    return this.view
  }
  /** Slots in rising order. */
  get members(): readonly number[] {
    return this.slots
  }
  /** The members that are given volumes and copies. */
  get eligible(): readonly number[] {
    const staying = this.slots.filter((slot) => !this.leaving.has(slot))
    // Too few would remain: who wants to leave has to wait, and mirrors like the others meanwhile.
    if (staying.length > this.setting.mirrors) return staying
    return this.slots.filter((slot) => !this.going.has(slot))
  }
  get isRedundant(): boolean {
    return this.slots.length > this.setting.mirrors
  }
  isLeaving(slot: number): boolean {
    return this.leaving.has(slot)
  }
  isFresh(slot: number): boolean {
    return this.fresh.has(slot) || !this.slots.includes(slot)
  }

  /**
   * A component will be out in a moment: its thread is told to end, or does. All others stop meanwhile; nothing is final before
   * `failed` says that it is out. Of one that is still awaited nothing is known here, and nothing is to be stopped.
   */
  ends(slot: number): void {
    if (!this.slots.includes(slot) || this.awaited.has(slot) || this.ending.has(slot)) return
    this.ending.add(slot)
    this.begin()
  }

  /**
   * A component is out: its thread has ended.
   * @param replaced  another one will be in its slot, and says so with `ready`; else the others take over
   */
  failed(slot: number, replaced: boolean): void {
    if (!this.slots.includes(slot)) return
    this.leaving.delete(slot)
    this.going.delete(slot)
    if (replaced) {
      this.awaited.add(slot)
      this.fresh.add(slot)
    } else {
      this.slots = this.slots.filter((member) => member !== slot)
      this.awaited.delete(slot)
      this.fresh.delete(slot)
    }
    // The others have been asked to stop for it.
    if (!this.ending.delete(slot)) this.begin()
  }

  /** The replacement holds nothing, and looks at the board. */
  ready(slot: number): void {
    this.awaited.delete(slot)
  }

  /** A component that holds nothing is in a slot of its own, and looks at the board. */
  join(slot: number): void {
    this.slots = [...this.slots, slot].sort((a, b) => a - b)
    this.fresh.add(slot)
    this.begin()
  }

  /** It is given nothing more; when its sets are secured it can go without anything being moved. */
  leave(slot: number): void {
    this.leaving.add(slot)
    this.begin()
  }

  /** It holds nothing that is not held elsewhere by enough, and its thread is about to be ended. */
  go(slot: number): void {
    this.going.add(slot)
  }

  /** Everybody begins again on restarted links: parts of sets that were on their way are sent again. */
  begin(): void {
    this.view++
    // First: from now on memory may change hands, and what is on its way out of it is void.
    this.turnEpochs(ODD)
    this.enter(PHASE_STOP)
  }

  step(): void {
    while (this.phase !== PHASE_RUN && this.allDone() && this.next()) {
      // The next phase may be over already.
    }
  }

  private next(): boolean {
    const { setting } = this
    switch (this.phase) {
      case PHASE_STOP: {
        const positions = new Map<number, number>()
        for (const { id, memory } of setting.sources) positions.set(id, memory.loadReleased())
        setting.repairResponsibility(this.slots, this.eligible)
        attachSources(
          [...setting.sources].filter(({ memory }) => memory.loadState() < SOURCE_CLOSED),
          this.eligible,
          [...this.fresh]
        )
        setting.board.storeMembership(this.slots, this.eligible, [...this.fresh])
        setting.publish(positions)
        this.turnEpochs(EVEN)
        this.enter(PHASE_REBUILD)
        setting.onReassigned(this.view)
        return true
      }
      case PHASE_REBUILD:
        this.enter(PHASE_RESTORE)
        return true
      default:
        if (!setting.isConserved()) return false
        this.fresh.clear()
        // Before the phase: whoever misses that phase, since another view begins at once, must know that this one stood.
        setting.board.storeStood(this.view)
        this.enter(PHASE_RUN)
        setting.onView(this.view)
        return true
    }
  }

  private enter(phase: number): void {
    this.phase = phase
    this.setting.board.storeView(this.view * 4 + phase)
    this.setting.wakeAll()
  }

  /** What a thread may still do, it does before it is fenced. Overridden in a broken variant of the simulator only. */
  protected isEndAwaited(): boolean {
    return this.ending.size > 0
  }

  /** Overridden in the simulator's broken variants only. */
  protected allDone(): boolean {
    if (this.slots.length === 0) return false
    const { board } = this.setting
    const word = this.view * 4 + this.phase
    if (this.phase === PHASE_STOP && this.isEndAwaited()) return false
    for (const slot of this.slots) {
      // One that is still on its way has nothing to stop: the others cut back meanwhile.
      if (this.phase === PHASE_STOP && (this.awaited.has(slot) || this.ending.has(slot))) continue
      if (this.awaited.has(slot) || !board.isViewDone(slot, word)) return false
    }
    return true
  }

  /** Odd while members change: nobody sends then. Who receives looks them up when it is even. */
  private turnEpochs(to: typeof ODD | typeof EVEN): void {
    const { board } = this.setting
    for (const way of [WAY_SECONDARY, WAY_SPOOL] as const) {
      const epoch = board.loadEpoch(way)
      if ((epoch & 1) !== to) board.storeEpoch(way, epoch + 1)
    }
  }
}

import type { ShownState } from '../memory/board.ts'
import type { Coordinator } from './coordinator.ts'

/** Who brings threads to life and to their end; the simulator does it with actors. */
export interface ComponentHost {
  /** A warm component is there: it can begin at once. */
  hasSpare(): boolean
  /**
   * Brings an empty component into this slot; `started` or `ended` follows.
   * @param as  it takes the place of a dead one, or is one more; the latter is urgent where copies are missing
   */
  start(slot: number, as: 'replacement' | 'urgent' | 'one more'): void
  /** Ends the component in this slot in an orderly way; `ended` follows. */
  end(slot: number): void
}

export interface MembershipSetting {
  readonly coordinator: Coordinator
  readonly host: ComponentHost
  /** Components that the group begins with, and goes back to after failures. */
  readonly components: number
  /** Slots that there are. */
  readonly slots: number
  readonly mirrors: number
  readonly takeover: 'spare' | 'survivors'
}

type SlotState = 'empty' | 'member' | 'replacing' | 'joining' | 'ending'

/**
 * Who is to be a member: what is done when a component has ended, is asked for, or shall go. Decides; the coordinator
 * carries it out as changes of view (figures 5, 6A, 6B; [0053], [0054]).
 *
 *   a component ends   a spare takes its slot where one is warm; else the others take over, and another one joins later
 *   add, remove        the number that the group goes back to changes
 */
export class Membership {
  private readonly setting: MembershipSetting
  private readonly states: SlotState[]
  private wanted: number
  /** By slot that leaves: the last set of which it may hold something; infinite while it cannot be spared. */
  private readonly lastSets = new Map<number, number>()

  constructor(setting: MembershipSetting) {
    this.setting = setting
    this.wanted = setting.components
    this.states = Array.from({ length: setting.slots }, (_, slot) => (slot < setting.components ? 'member' : 'empty'))
  }

  /** One more is wanted; false when there is no slot for it. It comes when no view is changing. */
  add(): boolean {
    if (this.wanted >= this.setting.slots) return false
    this.wanted++
    return true
  }

  /** Whether mirrors+1 components would remain if one of them left. */
  get canRemove(): boolean {
    return this.wanted > this.setting.mirrors + 1
  }

  /** It goes when its sets are secured, so that nothing has to be moved; one on its way in when it has come. */
  remove(slot: number): void {
    this.wanted--
    this.lastSets.set(slot, Number.POSITIVE_INFINITY)
    if (this.states[slot] !== 'joining') this.setting.coordinator.leave(slot)
  }

  isLeaving(slot: number): boolean {
    return this.lastSets.has(slot)
  }

  /** For those who look at the group. */
  shownState(slot: number): ShownState {
    const state = this.states[slot]
    if (state === undefined || state === 'empty') return 'empty'
    if (state === 'ending' || this.lastSets.has(slot)) return 'leaving'
    // What is seen of a replacement is itself, not whom it replaces.
    return state !== 'member' || !this.setting.coordinator.members.includes(slot) ? 'joining' : 'active'
  }

  /** It is there, and neither on its way in nor out. */
  isSteady(slot: number): boolean {
    return this.states[slot] === 'member' && !this.lastSets.has(slot)
  }

  isJoining(slot: number): boolean {
    return this.states[slot] === 'joining'
  }

  /** The component that was brought into this slot looks at the board. */
  started(slot: number): void {
    const { coordinator } = this.setting
    const state = this.states[slot]
    this.states[slot] = 'member'
    if (state === 'replacing') {
      coordinator.ready(slot)
      return
    }
    coordinator.join(slot)
    if (this.lastSets.has(slot)) coordinator.leave(slot)
  }

  /** The thread in this slot is fenced, whatever it was doing, or never began. */
  ended(slot: number): void {
    const { coordinator, host } = this.setting
    const state = this.states[slot]
    this.states[slot] = 'empty'
    const isLeaving = this.lastSets.delete(slot)
    if (state === 'joining') return
    if (this.isReplaced(slot, isLeaving || state === 'replacing')) {
      this.states[slot] = 'replacing'
      if (state !== 'replacing') coordinator.failed(slot, true)
      host.start(slot, 'replacement')
    } else coordinator.failed(slot, false)
  }

  /**
   * A view stands. Who leaves is given nothing from now on, unless too few others are left; the set ends, so that it has no
   * volume in the next one.
   */
  viewStands(): void {
    const { coordinator } = this.setting
    for (const slot of this.lastSets.keys()) {
      if (this.states[slot] !== 'member') continue
      const isSpared = !coordinator.isEligible(slot)
      this.lastSets.set(slot, isSpared ? coordinator.closeSet(undefined) : Number.POSITIVE_INFINITY)
    }
  }

  /** Does what waited until no view is changing. */
  step(): void {
    const { coordinator, host } = this.setting
    if (!coordinator.stands) return
    for (const [slot, lastSet] of this.lastSets) {
      if (this.states[slot] !== 'member' || coordinator.releasedSet < lastSet) continue
      this.states[slot] = 'ending'
      coordinator.go(slot)
      host.end(slot)
    }
    while (this.present < this.wanted) {
      const slot = this.states.indexOf('empty')
      if (slot < 0) return
      this.states[slot] = 'joining'
      host.start(slot, coordinator.isRedundant ? 'one more' : 'urgent')
    }
  }

  /** @param unless  the others take over, if there are any, be they on their way */
  private isReplaced(slot: number, unless: boolean): boolean {
    const { coordinator, host, takeover } = this.setting
    const others = coordinator.members.filter(
      (member) =>
        member !== slot && (this.states[member] === 'member' || (unless && this.states[member] === 'replacing'))
    )
    if (others.length === 0) return true
    return !unless && takeover === 'spare' && host.hasSpare()
  }

  /** Components that stay, those on their way included. */
  private get present(): number {
    return this.states.filter((state, slot) => state !== 'empty' && state !== 'ending' && !this.lastSets.has(slot))
      .length
  }
}

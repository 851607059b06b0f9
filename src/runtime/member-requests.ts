import { TidemarkError } from '../errors.ts'
import type { Board } from '../memory/board.ts'
import type { Coordinator } from '../protocol/coordinator.ts'
import type { Membership } from '../protocol/membership.ts'
import type { ControlNotice } from './messages.ts'

interface Join {
  readonly request: number
  readonly askedAt: number
  /** Once a component for it runs. If that one dies and is replaced there, it is the replacement that joins. */
  slot: number | undefined
  /** The set that was forming when the first view stood in which it is a member; it works from the next one on. */
  sinceSet: number | undefined
}

interface Leave {
  readonly requests: number[]
  readonly id: number
  readonly askedAt: number
}

/** What the host has asked about members, until it has come about. */
export class MemberRequests {
  private readonly board: Board
  private readonly coordinator: Coordinator
  private readonly membership: Membership
  private readonly tell: (notice: ControlNotice) => void
  private readonly asked: Join[] = []
  /** Those who wait for a secondary component that was made to fail: until it runs again, then until a view stands with it. */
  private dying: number[] = []
  private returning: number[] = []
  /** By slot. */
  private readonly leaves = new Map<number, Leave>()
  /** Told when the board shows it, so that whoever is answered finds it so. */
  private readonly answers: ControlNotice[] = []

  constructor(board: Board, coordinator: Coordinator, membership: Membership, tell: (notice: ControlNotice) => void) {
    this.board = board
    this.coordinator = coordinator
    this.membership = membership
    this.tell = tell
  }

  add(request: number): void {
    if (this.membership.add()) {
      this.asked.push({ request, askedAt: performance.now(), slot: undefined, sinceSet: undefined })
      return
    }
    const { slots } = this.board.layout
    const message = `a group with this memory in each component has at most ${slots} of them`
    this.refuse(request, new TidemarkError('TIDEMARK_OPTIONS', message, { components: slots }))
  }

  remove(request: number, id: number): void {
    const slot = this.slotOf(id)
    if (slot === undefined) {
      this.refuse(request, this.unknown(id))
      return
    }
    const known = this.leaves.get(slot)
    if (known !== undefined) {
      known.requests.push(request)
      return
    }
    if (!this.membership.canRemove) {
      const message = `component ${id} cannot leave: fewer than mirrors+1 would remain`
      this.refuse(request, new TidemarkError('TIDEMARK_NOT_REDUNDANT', message, { component: id }))
      return
    }
    this.giveUpJoin(slot, id)
    this.leaves.set(slot, { requests: [request], id, askedAt: performance.now() })
    this.membership.remove(slot)
  }

  /** A component joins in this slot. Returns when it was asked for; undefined when nobody asked. */
  joins(slot: number): number | undefined {
    const join = this.asked.find((candidate) => candidate.slot === slot || this.isWaiting(candidate))
    if (join !== undefined) join.slot = slot
    return join?.askedAt
  }

  /** The component of this slot has ended. Returns when it was asked to leave; undefined when it was not. */
  left(slot: number, id: number): number | undefined {
    // One that was on its way in comes in another thread.
    for (const join of this.asked) if (join.slot === slot) join.sinceSet = undefined
    const leave = this.leaves.get(slot)
    if (leave === undefined || leave.id !== id) return undefined
    this.leaves.delete(slot)
    for (const request of leave.requests) this.answers.push({ type: 'member', request, id })
    return leave.askedAt
  }

  /** Slots of those that are members and do not work yet. */
  get joining(): number[] {
    return this.asked.flatMap(({ slot }) => (slot === undefined ? [] : [slot]))
  }

  /** Finds those that work now. */
  step(): void {
    if (!this.coordinator.stands) return
    for (const join of [...this.asked]) {
      if (join.slot === undefined || join.sinceSet === undefined) continue
      if (this.coordinator.formingSet <= join.sinceSet) continue
      this.asked.splice(this.asked.indexOf(join), 1)
      this.answers.push({ type: 'member', request: join.request, id: this.board.loadIdentity(join.slot) })
    }
  }

  answer(): void {
    for (const notice of this.answers.splice(0)) this.tell(notice)
  }

  awaitView(request: number): void {
    this.dying.push(request)
  }

  viewBegins(): void {
    this.returning.push(...this.dying.splice(0))
  }

  viewStands(): void {
    // Now, since the set may be closed before anything else is done.
    const { members, formingSet } = this.coordinator
    for (const join of this.asked) {
      if (join.slot !== undefined && members.includes(join.slot)) join.sinceSet ??= formingSet
    }
    for (const request of this.returning.splice(0)) this.tell({ type: 'member', request, id: -1 })
  }

  refuse(request: number, error: TidemarkError): void {
    this.tell({ type: 'refused', request, error: error.toRecord() })
  }

  unknown(id: number): TidemarkError {
    return new TidemarkError('TIDEMARK_UNKNOWN_COMPONENT', `there is no component ${String(id)}`, { component: id })
  }

  /** Members and those on their way in, who are seen in the status. */
  private slotOf(id: number): number | undefined {
    for (let slot = 0; slot < this.board.layout.slots; slot++) {
      if (this.membership.shownState(slot) !== 'empty' && this.board.loadIdentity(slot) === id) return slot
    }
    return undefined
  }

  /** No component runs for it, or not any more. */
  private isWaiting({ slot }: Join): boolean {
    return slot === undefined || this.membership.shownState(slot) === 'empty'
  }

  /** Whoever asked for the component of this slot does not get it; nor another one, since one less is wanted. */
  private giveUpJoin(slot: number, id: number): void {
    const mayHave = (join: Join): boolean => this.membership.isJoining(slot) && this.isWaiting(join)
    const join = this.asked.find((candidate) => candidate.slot === slot) ?? this.asked.find(mayHave)
    if (join === undefined) return
    this.asked.splice(this.asked.indexOf(join), 1)
    const message = `component ${id} was removed before it worked`
    const error = new TidemarkError('TIDEMARK_UNKNOWN_COMPONENT', message, { component: id })
    this.refuse(join.request, error)
  }
}

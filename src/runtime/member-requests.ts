import { TidemarkError } from '../errors.ts'
import type { Board } from '../memory/board.ts'
import type { Coordinator } from '../protocol/coordinator.ts'
import type { Membership } from '../protocol/membership.ts'
import type { ControlNotice } from './messages.ts'

interface Join {
  readonly request: number
  readonly askedAt: number
  /** Once a component for it runs. */
  slot: number | undefined
  /** The set that was forming when it had become a member; it works from the next one on. */
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
    const slot = this.coordinator.members.find((member) => this.board.loadIdentity(member) === id)
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
    this.leaves.set(slot, { requests: [request], id, askedAt: performance.now() })
    this.membership.remove(slot)
  }

  /** A component joins in this slot. Returns when it was asked for; undefined when nobody asked. */
  joins(slot: number): number | undefined {
    const join = this.asked.find((candidate) => candidate.slot === undefined)
    if (join !== undefined) join.slot = slot
    return join?.askedAt
  }

  /** The component of this slot has ended. Returns when it was asked to leave; undefined when it was not. */
  left(slot: number, id: number): number | undefined {
    // One that was on its way in comes in another thread.
    for (const join of this.asked) if (join.slot === slot) Object.assign(join, { slot: undefined, sinceSet: undefined })
    const leave = this.leaves.get(slot)
    if (leave === undefined || leave.id !== id) return undefined
    this.leaves.delete(slot)
    for (const request of leave.requests) this.tell({ type: 'member', request, id })
    return leave.askedAt
  }

  /** Slots of those that are members and do not work yet. */
  get joining(): number[] {
    return this.asked.flatMap(({ slot }) => (slot === undefined ? [] : [slot]))
  }

  /** Tells of those that work now. */
  step(): void {
    if (!this.coordinator.stands) return
    for (const join of [...this.asked]) {
      if (join.slot === undefined || !this.coordinator.members.includes(join.slot)) continue
      join.sinceSet ??= this.coordinator.formingSet
      if (this.coordinator.formingSet <= join.sinceSet) continue
      this.asked.splice(this.asked.indexOf(join), 1)
      this.tell({ type: 'member', request: join.request, id: this.board.loadIdentity(join.slot) })
    }
  }

  awaitView(request: number): void {
    this.dying.push(request)
  }

  viewBegins(): void {
    this.returning.push(...this.dying.splice(0))
  }

  viewStands(): void {
    for (const request of this.returning.splice(0)) this.tell({ type: 'member', request, id: -1 })
  }

  refuse(request: number, error: TidemarkError): void {
    this.tell({ type: 'refused', request, error: error.toRecord() })
  }

  unknown(id: number): TidemarkError {
    return new TidemarkError('TIDEMARK_UNKNOWN_COMPONENT', `there is no component ${String(id)}`, { component: id })
  }
}

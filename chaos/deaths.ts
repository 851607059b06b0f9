import type { GroupStatus } from '../src/index.ts'
import type { Random } from '../src/sim/random.ts'
import type { RoundPlan } from './plan.ts'

export interface Death {
  readonly id: number
  /** It had come to take over, and not everything is redundant yet. */
  readonly isAgain: boolean
}

/**
 * Who may be killed now: so many that the group promises to survive it. Of the components that were there when everything
 * was redundant last, `mirrors` may be down at once. Those that came since, to take over, hold nothing that others do not
 * hold yet, so as many of them as there were deaths may die again; but from then on nobody else, since it cannot be known
 * from outside for which of the first ones everything is redundant already.
 */
export class Deaths {
  private readonly mirrors: number
  /** Whether a component that dies may leave the group smaller. */
  private readonly spares: number
  private readonly canShrink: boolean
  private readonly down = new Set<number>()
  private readonly known = new Set<number>()
  private again = 0
  private joining = 0

  constructor(plan: RoundPlan) {
    const { mirrors, spares, takeover } = plan.options
    this.mirrors = mirrors
    this.spares = takeover === 'survivors' ? 0 : spares
    this.canShrink = plan.kinds.includes('survivors') || plan.kinds.includes('join')
  }

  get areOutstanding(): boolean {
    return this.down.size > 0
  }

  /** Components that work and were not killed. */
  living(status: GroupStatus): number[] {
    return status.components.filter(({ id, state }) => state === 'active' && !this.down.has(id)).map(({ id }) => id)
  }

  /** Undefined when nobody may die now. */
  draw(status: GroupStatus, random: Random): Death | undefined {
    const living = this.living(status)
    if (this.down.size === 0) {
      this.known.clear()
      for (const id of living) this.known.add(id)
      this.again = 0
    }
    const newcomers = living.filter((id) => !this.known.has(id))
    const mayDieAgain = newcomers.length > 0 && this.joining === 0
    if (mayDieAgain && this.again < Math.min(this.down.size, this.mirrors) && random.chance(2)) {
      this.again++
      return { id: random.pick(newcomers), isAgain: true }
    }
    if (this.again > 0 || this.down.size >= this.mirrors) return undefined
    // Enough must remain to hold everything, or spares to make up for it.
    const remain = living.length - 1
    if (this.canShrink && remain < this.mirrors + 1 && this.down.size >= this.spares) return undefined
    const candidates = living.filter((id) => this.known.has(id))
    return candidates.length === 0 ? undefined : { id: random.pick(candidates), isAgain: false }
  }

  killed(id: number): void {
    this.down.add(id)
  }

  /** Everything is redundant again after its death: who is there now may hold as much as anyone. */
  redundant(id: number, status: GroupStatus): void {
    this.down.delete(id)
    for (const living of this.living(status)) this.known.add(living)
  }

  /** Who joins takes over from nobody: it may hold updates before it is known that it has come. */
  joins(): void {
    this.joining++
  }

  joined(id: number | undefined): void {
    this.joining--
    if (id !== undefined) this.known.add(id)
  }
}

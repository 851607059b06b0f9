import type { Coordinator } from '../../src/protocol/coordinator.ts'
import { type ComponentHost, Membership, type MembershipSetting } from '../../src/protocol/membership.ts'

/** What the coordinator shows, and a log of what it and the host were asked for. */
export class MembershipStage {
  readonly log: string[] = []
  readonly membership: Membership
  members: number[]
  /** No view is changing. */
  stands = true
  securedSet = 0
  formingSet = 1
  spares = 0
  /** Slots that nothing is given to, as the coordinator finds. */
  readonly spared = new Set<number>()

  constructor(setting: Partial<Omit<MembershipSetting, 'coordinator' | 'host'>> = {}) {
    const { components = 3, slots = 5, mirrors = 1, takeover = 'spare' } = setting
    this.members = Array.from({ length: components }, (_, slot) => slot)
    const begin = (what: string): void => {
      this.log.push(what)
      this.stands = false
    }
    const stage = this
    const coordinator = {
      get members() {
        return stage.members
      },
      get stands() {
        return stage.stands
      },
      get releasedSet() {
        return stage.securedSet
      },
      isEligible: (slot: number) => !this.spared.has(slot),
      closeSet: () => this.formingSet,
      failed: (slot: number, replaced: boolean) => {
        if (!replaced) this.members = this.members.filter((member) => member !== slot)
        begin(`failed ${slot}${replaced ? ', replaced' : ''}`)
      },
      ready: (slot: number) => void this.log.push(`ready ${slot}`),
      join: (slot: number) => {
        this.members = [...this.members, slot].sort((a, b) => a - b)
        begin(`join ${slot}`)
      },
      leave: (slot: number) => begin(`leave ${slot}`),
      go: () => {}
    } satisfies Partial<Coordinator>
    const host: ComponentHost = {
      hasSpare: () => this.spares > 0,
      start: (slot) => {
        this.spares--
        this.log.push(`start ${slot}`)
      },
      end: (slot) => void this.log.push(`end ${slot}`)
    }
    this.membership = new Membership({
      coordinator: coordinator as unknown as Coordinator,
      host,
      components,
      slots,
      mirrors,
      takeover
    })
  }

  /** What was asked for since the last time. */
  get asked(): string[] {
    return this.log.splice(0)
  }

  /** The change of view is over, and the control thread has its turn. */
  stand(): void {
    this.stands = true
    this.membership.viewStands()
    this.membership.step()
  }

  /** Whoever is on its way arrives, and views stand, until nothing more is asked for. */
  comeToRest(): void {
    for (let asked = this.asked; asked.length > 0 || !this.stands; asked = this.asked) {
      for (const what of asked) if (what.startsWith('start')) this.membership.started(Number(what.slice(6)))
      this.stand()
    }
  }

  /** These sets are secured, and the control thread has its turn. */
  secure(set: number): void {
    this.securedSet = set
    this.formingSet = Math.max(this.formingSet, set + 1)
    this.membership.step()
  }
}

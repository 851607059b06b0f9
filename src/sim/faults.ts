import { TidemarkError } from '../errors.ts'
import type { ComponentHost } from '../protocol/membership.ts'
import type { Random } from './random.ts'
import { type FaultRates, NO_FAULTS } from './scenario.ts'
import type { Actor } from './scheduler.ts'
import { Killed } from './scheduler.ts'
import type { World, WorldOptions } from './world.ts'

/** The name of that actor. */
export const SPOOL = 'spool'

/** Something that the control thread learns, or that comes about, a while after its cause. */
interface Event {
  wait: number
  happen(): void
}

/**
 * What befalls the actors of a world: components and secondary components die or hang at their accesses to shared memory,
 * some are added, some leave. The control thread learns of it some time later; threads take some time to start.
 */
export class Faults implements ComponentHost {
  private readonly world: World
  private readonly random: Random
  private readonly killAt: readonly number[]
  private rates: FaultRates
  private readonly events: Event[] = []
  private readonly hung = new Set<Actor>()
  /** Those of them that may be taken for failed. */
  private readonly suspected = new Set<Actor>()
  /** Slots whose component has died since a view stood; and how many of them may without a loss. */
  private readonly died = new Set<number>()
  private tolerance: number
  /** Dead, and the control thread does not know it yet. */
  private readonly untold = new Set<number>()
  private beyond = false
  /** Told to end, and going on until they are out. */
  private readonly ending = new Set<Actor>()
  /** Not started again yet. */
  private readonly deadSecondaries = new Set<number>()
  /** They die at their next access. */
  private readonly condemned = new Set<Actor>()

  constructor(world: World, random: Random, options: WorldOptions) {
    this.world = world
    this.random = random
    this.rates = world.scenario.faults
    this.killAt = options.killAt ?? []
    this.tolerance = world.scenario.mirrors
    world.scheduler.onAccess = (actor) => this.befall(actor)
    world.scheduler.onKilled = (actor) => this.killed(actor)
  }

  get isPending(): boolean {
    return this.events.length > 0
  }
  /** No more have died since a view stood than there were copies beside the first. */
  get isTolerable(): boolean {
    return !this.beyond
  }

  /** Nobody dies any more. */
  heal(): void {
    this.rates = { ...NO_FAULTS, spare: this.rates.spare }
  }

  /** In the control thread's turn: what has come about since. */
  tell(): void {
    this.perhapsChangeMembers()
    for (const event of [...this.events]) {
      if (event.wait-- > 0) continue
      this.events.splice(this.events.indexOf(event), 1)
      event.happen()
    }
  }

  // What a script lets happen.

  /** The component in this slot goes no further: than its next access when it is its turn, than where it is when it is not. */
  kill(slot: number): void {
    const actor = this.actorOf(slot)
    if (actor === undefined) return
    const { scheduler } = this.world
    if (scheduler.isRunning(actor)) this.condemned.add(actor)
    else {
      this.killed(actor)
      scheduler.doom(actor)
    }
  }
  add(): void {
    this.later(1, () => this.world.membership.add())
  }
  remove(slot: number): void {
    this.later(1, () => this.world.membership.remove(slot))
  }

  viewStands(): void {
    const { scenario, coordinator } = this.world
    this.died.clear()
    // Who died just before has not been missed yet.
    for (const slot of this.untold) this.died.add(slot)
    // And who stands still may yet be ended for it.
    for (const actor of this.suspected) this.died.add(actor.slot)
    this.tolerance = Math.min(scenario.mirrors, coordinator.members.length - 1)
    this.beyond = this.died.size > this.tolerance
  }

  // What the membership asks for.

  hasSpare(): boolean {
    return this.random.chance(this.rates.spare)
  }

  start(slot: number): void {
    this.world.story?.line(`control: starts component ${slot}`)
    this.later(20, () => {
      const { world } = this
      world.startComponent(slot)
      if (world.membership.isJoining(slot)) world.coverage.joins++
      else world.coverage.replaced++
      world.membership.started(slot)
      world.ring()
    })
  }

  end(slot: number): void {
    const actor = this.actorOf(slot)
    if (actor === undefined) return
    this.world.story?.line(`component ${slot}: leaves`)
    this.world.scheduler.doom(actor)
    this.world.coverage.leaves++
    this.later(10, () => this.isOut(slot))
  }

  private befall(actor: Actor): void {
    const { scheduler } = this.world
    if (this.killAt.includes(scheduler.accesses) && actor.slot >= 0) throw new Killed(actor)
    if (this.condemned.size > 0 && this.condemned.delete(actor)) throw new Killed(actor)
    const { kill, hang, killSecondary, stall } = this.rates
    if (actor.slot < 0 && actor.parking !== undefined) {
      if (killSecondary > 0 && this.random.chance(killSecondary)) throw new Killed(actor)
      if (stall > 0 && actor.name !== SPOOL && this.random.chance(stall)) this.stall(actor)
    }
    if (actor.slot < 0 || actor.isDoomed) return
    if (kill > 0 && this.random.chance(this.rateNow(kill, actor.slot)) && this.mayDie(actor.slot))
      throw new Killed(actor)
    if (hang > 0 && this.random.chance(hang)) this.hang(actor)
  }

  /** A secondary component stands still, in the middle of what it does, for as long as many sets take. */
  private stall(actor: Actor): void {
    if (this.hung.has(actor)) return
    this.hung.add(actor)
    this.world.coverage.stalls++
    this.world.scheduler.letOthers(this.random.between(100, 1000))
    this.hung.delete(actor)
  }

  /** Something is about to be written at the secondary, or to the spool. @throws when there is no room for it */
  writing(): void {
    const { full } = this.rates
    if (full === 0 || !this.random.chance(full)) return
    this.world.coverage.fullDisks++
    throw new TidemarkError('TIDEMARK_NO_SPACE', 'the disk has no room', { action: 'write' })
  }

  private rateNow(kill: number, slot: number): number {
    const { coordinator, board } = this.world
    const isInNeed = !coordinator.stands || board.loadPressure(slot) !== 0
    return isInNeed ? Math.ceil(kill / this.rates.killInNeed) : kill
  }

  /** It stands still in the middle of what it does; perhaps it is taken for failed, and ended there. */
  private hang(actor: Actor): void {
    if (this.hung.has(actor)) return
    this.hung.add(actor)
    const isSuspected = this.random.chance(2) && this.mayDie(actor.slot)
    // One that took the place of a dead one may hang too: that death still counts.
    const wasDead = this.died.has(actor.slot)
    if (isSuspected) {
      this.died.add(actor.slot)
      this.suspected.add(actor)
      this.later(60, () => this.fence(actor))
    }
    this.world.scheduler.letOthers(this.random.between(50, 300))
    this.hung.delete(actor)
    this.suspected.delete(actor)
    if (actor.isDoomed || this.ending.has(actor)) return
    this.world.coverage.resumed++
    if (isSuspected && !wasDead) this.died.delete(actor.slot)
  }

  private fence(actor: Actor): void {
    // It has made progress since, or died otherwise: it is not ended on suspicion.
    if (!this.suspected.has(actor) || this.actorOf(actor.slot) !== actor) return
    this.world.coverage.hung++
    this.world.story?.line(`component ${actor.slot}: hangs, is ended`)
    this.died.add(actor.slot)
    this.countDeath(actor)
    this.ending.add(actor)
    this.world.coordinator.ends(actor.slot)
    this.later(20, () => this.ended(actor))
  }

  /** It may have gone on until now, or died by itself meanwhile: then that is told by itself. */
  private ended(actor: Actor): void {
    this.ending.delete(actor)
    if (actor.isDoomed) return
    if (this.world.fences) this.world.scheduler.doom(actor)
    this.isOut(actor.slot)
  }

  private mayDie(slot: number): boolean {
    if (this.rates.beyondMirrors) return true
    const others = [...this.died].filter((other) => other !== slot)
    return others.length < this.tolerance
  }

  private killed(actor: Actor): void {
    const { world } = this
    const isSpooling = world.coordinator.spool?.isEmpty === false
    if (actor.name === SPOOL) {
      world.coverage.spoolDeaths++
      world.story?.line('spool: dies')
      this.later(60, () => {
        world.startSpool(true)
        world.coordinator.spoolReplaced()
        world.ring()
      })
      return
    }
    if (actor.slot < 0) {
      world.coverage.secondaryDeaths++
      if (isSpooling) world.coverage.secondaryDeathsWhileSpooling++
      world.story?.line(`${actor.name}: dies`)
      const index = Number(actor.name.split(' ')[1])
      this.deadSecondaries.add(index)
      this.later(60, () => {
        this.replaceSecondary(index)
        world.coordinator.secondaryReplaced()
        world.ring()
      })
      return
    }
    // One that was ended, and has come to the end of what it did meanwhile.
    if (actor.isDoomed) return
    actor.isDoomed = true
    world.story?.line(`component ${actor.slot}: dies`)
    this.countDeath(actor)
    this.died.add(actor.slot)
    this.untold.add(actor.slot)
    const out = this.random.below(30)
    // Mostly the end of what the thread does is seen before its exit.
    const ends = this.random.below(40)
    if (ends < out) this.after(ends, () => world.coordinator.ends(actor.slot))
    this.after(out, () => this.isOut(actor.slot))
  }

  private countDeath(actor: Actor): void {
    const { coverage, coordinator, board } = this.world
    coverage.deaths++
    if (coordinator.spool?.isEmpty === false) coverage.deathsWhileSpooling++
    if (!coordinator.stands) coverage.deathsInChange++
    if (coordinator.members.some((slot) => board.loadPressure(slot) !== 0)) coverage.deathsWithFullMemory++
    const others = [...this.died].filter((slot) => slot !== actor.slot)
    if (others.length < this.tolerance) return
    this.beyond = true
    coverage.deathsBeyondMirrors++
  }

  /** Its thread has exited. */
  private isOut(slot: number): void {
    const { world } = this
    this.untold.delete(slot)
    const before = world.coordinator.members.length
    world.checker.died(slot, this.isTolerable)
    world.membership.ended(slot)
    // As on threads: not before the epochs are odd, so that who has read it knows that it is void.
    world.overwrite(slot)
    if (world.coordinator.members.length < before) world.coverage.takenOver++
    world.ring()
  }

  private perhapsChangeMembers(): void {
    const { member } = this.rates
    if (member === 0 || !this.random.chance(member)) return
    const { membership, coordinator } = this.world
    if (this.random.chance(2) && membership.add()) {
      this.world.story?.line('host: adds a component')
      return
    }
    const slot = this.random.pick(coordinator.members)
    if (!membership.canRemove || membership.isLeaving(slot) || !membership.isSteady(slot)) return
    this.world.story?.line(`host: removes component ${slot}`)
    membership.remove(slot)
  }

  private actorOf(slot: number): Actor | undefined {
    return this.world.scheduler.actors.find((actor) => actor.slot === slot && !actor.isDoomed)
  }

  /** The group is suspended, but its secondary finishes what it was told: threads that died are started again all the same. */
  replaceSecondaries(): void {
    for (const index of this.deadSecondaries) this.replaceSecondary(index)
  }

  private replaceSecondary(index: number): void {
    this.deadSecondaries.delete(index)
    this.world.startSecondary(index, true)
  }

  private later(most: number, happen: () => void): void {
    this.after(this.random.below(most), happen)
  }

  private after(wait: number, happen: () => void): void {
    this.events.push({ wait, happen })
  }
}

import type { Parking } from '../memory/parking.ts'
import type { Interleaving } from './instrumented.ts'
import type { Random } from './random.ts'

/** One thread of the real system. */
export class Actor {
  readonly name: string
  /** Where it sleeps; undefined for one that never does. */
  readonly parking: Parking | undefined
  /** Of a component; -1 for others. */
  readonly slot: number
  readonly step: () => number
  readonly isDue: () => boolean
  /** Its thread has been ended: it goes no further than where it is. */
  isDoomed = false
  /** It gets its turn once in so many times that it is picked. */
  slowness = 1
  /** Something is on its way to it: it does not sleep yet. */
  isExpecting = false
  private asleep = false

  constructor(name: string, step: () => number, options: Partial<Pick<Actor, 'parking' | 'slot' | 'isDue'>> = {}) {
    this.name = name
    this.step = step
    this.parking = options.parking
    this.slot = options.slot ?? -1
    this.isDue = options.isDue ?? (() => true)
  }

  get isAwake(): boolean {
    if (this.asleep && this.parking?.isParked() !== true) this.asleep = false
    return !this.asleep && this.isDue()
  }

  /** True if it did something. A thread that finds nothing says that it sleeps, looks once more, and sleeps. */
  turn(): boolean {
    this.isExpecting = false
    if (this.step() > 0) return true
    if (this.parking === undefined) return false
    this.parking.prepare()
    if (this.step() > 0 || this.isExpecting) {
      this.parking.cancel()
      return true
    }
    this.asleep = true
    return false
  }
}

/** Thrown in the middle of what an actor does: nothing after it happens. */
export class Killed extends Error {
  readonly actor: Actor

  constructor(actor: Actor) {
    super('killed')
    this.actor = actor
  }
}

const DEEPEST = 3
const LONG_PAUSE_ONE_IN = 300

/**
 * Steps actors in an order that a seed decides, lets others in at each access to shared memory, and stops one there for
 * good when it is killed.
 */
export class Scheduler implements Interleaving {
  readonly actors: Actor[] = []
  steps = 0
  nested = 0
  /** Accesses to shared memory by components and secondary components. */
  accesses = 0
  /** At each access: what may befall the actor that makes it. Throws Killed. */
  onAccess: (actor: Actor) => void = () => {}
  /** An actor was killed and has stopped. */
  onKilled: (actor: Actor) => void = () => {}
  private readonly running: Actor[] = []
  private readonly random: Random
  /** At an access another actor runs once in so many times; 0: never, and actors take turns in order. */
  private readonly interleaveOneIn: number
  private next = 0

  constructor(random: Random, interleaveOneIn: number) {
    this.random = random
    this.interleaveOneIn = interleaveOneIn
  }

  get isIdle(): boolean {
    return this.running.length === 0
  }

  isRunning(actor: Actor): boolean {
    return this.running.includes(actor)
  }

  /** Another thread may run here. */
  point(pausesOneIn = LONG_PAUSE_ONE_IN): void {
    const actor = this.running[this.running.length - 1]
    // While the world is being built, nobody runs.
    if (actor === undefined) return
    this.accesses++
    this.onAccess(actor)
    if (this.interleaveOneIn > 0 && this.running.length <= DEEPEST) {
      // Mostly a few turns; now and then the thread sleeps here for as long as a whole set takes.
      if (this.random.chance(pausesOneIn)) this.letOthers(this.random.between(20, 120))
      while (this.random.chance(this.interleaveOneIn)) {
        this.nested++
        this.stepActor(this.random.pick(this.actors))
      }
    }
    if (actor.isDoomed) throw new Killed(actor)
  }

  keepAwake(): void {
    const actor = this.running[this.running.length - 1]
    if (actor !== undefined) actor.isExpecting = true
  }

  /** The one that runs stands still for so many turns of others. */
  letOthers(turns: number): void {
    for (let n = turns; n > 0; n--) this.turn()
  }

  /** One turn of one actor; true if it did something. */
  turn(): boolean {
    this.steps++
    const { actors, random } = this
    const actor = this.interleaveOneIn > 0 ? random.pick(actors) : (actors[this.next++ % actors.length] as Actor)
    return this.stepActor(actor)
  }

  stepActor(actor: Actor): boolean {
    if (this.isRunning(actor) || !actor.isAwake) return false
    if (actor.slowness > 1 && !this.random.chance(actor.slowness)) return true
    this.running.push(actor)
    try {
      return actor.turn()
    } catch (error) {
      if (!(error instanceof Killed) || error.actor !== actor) throw error
      this.remove(actor)
      this.onKilled(actor)
      return true
    } finally {
      this.running.pop()
    }
  }

  add(actor: Actor): Actor {
    this.actors.push(actor)
    return actor
  }

  /** Ends it where it is: in the middle of what it does, if it was interrupted there. */
  doom(actor: Actor): void {
    actor.isDoomed = true
    this.remove(actor)
  }

  private remove(actor: Actor): void {
    const at = this.actors.indexOf(actor)
    if (at >= 0) this.actors.splice(at, 1)
  }
}

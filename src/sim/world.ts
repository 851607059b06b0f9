import { Arena } from '../memory/arena.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { type Link, linkBytes } from '../memory/link.ts'
import type { Parking } from '../memory/parking.ts'
import { SetTables, setTablesBytes } from '../memory/set-tables.ts'
import type { BackupComponent, ComponentParts } from '../protocol/component.ts'
import { Coordinator, type SetProgress } from '../protocol/coordinator.ts'
import { type FinalPositions, forEachHeld } from '../protocol/rebuild.ts'
import { SetReceiver } from '../protocol/set-receiver.ts'
import type { Setting, Surroundings } from '../protocol/setting.ts'
import { ViewMember } from '../protocol/view-member.ts'
import { Checker } from './checker.ts'
import { type Interleaving, observedPlaces, SimBoard, SimLink, SimSourceMemory } from './instrumented.ts'
import { MemoryStore, type SecondaryImages } from './memory-store.ts'
import { Random } from './random.ts'
import { drawScenario, type Scenario } from './scenario.ts'
import { SimSource } from './sim-source.ts'
import type { Variant } from './variants.ts'
import { Violation } from './violation.ts'

/** One thread of the real system. */
interface Actor {
  readonly name: string
  /** Where it sleeps; undefined for the control thread, which sleeps until its bell or its next period. */
  readonly parking: Parking | undefined
  asleep: boolean
  /** Of a component; -1 for others. */
  readonly slot: number
  step(): number
}

/** How often the situations came up for which the rules exist. */
export interface Coverage {
  updates: number
  transactions: number
  waits: number
  closedEarly: number
  idleSets: number
  sets: number
  severalMirrors: number
  nested: number
  deaths: number
  /** Of them, while a view was changing already. */
  deathsInChange: number
  views: number
}

/** Thrown in the middle of what a component does: nothing after it happens. */
class Killed extends Error {
  readonly actor: Actor

  constructor(actor: Actor) {
    super('killed')
    this.actor = actor
  }
}

const DEEPEST = 3
const LONG_PAUSE_ONE_IN = 300

/**
 * A whole group in one thread: the same components, coordinator and secondary components as on threads, on the same memory,
 * driven in an order that a seed decides. At each atomic access others may run in between.
 */
export class World implements Interleaving {
  readonly scenario: Scenario
  readonly coordinator: Coordinator
  /** By slot. A new one takes the place of one that has died. */
  readonly members: ViewMember[]
  readonly sources: readonly SimSource[]
  readonly checker: Checker
  steps = 0
  private readonly random: Random
  private readonly board: SimBoard
  private readonly actors: Actor[] = []
  private readonly running: Actor[] = []
  private rung = true
  private nowMs = 1_000_000
  private dueAt = 0
  private idleSets = 0
  private sets = 0
  private nested = 0
  private deaths = 0
  private deathsInChange = 0
  private views = 0
  /** A component dies at one in so many of its accesses to shared memory; 0: never. */
  private killOneIn: number
  private finalPositions: FinalPositions = new Map()
  private readonly settings: readonly Setting[]
  private readonly partsOf: (slot: number) => Partial<ComponentParts>
  /** Slots whose component has died, or begun empty, since a view stood. */
  private readonly incomplete = new Set<number>()
  /** Deaths on their way to the control thread. */
  private readonly ended: { readonly slot: number; told: boolean; wait: number }[] = []

  constructor(seed: number, variant: Variant | undefined) {
    const random = new Random(seed)
    this.random = random
    const scenario = drawScenario(random)
    this.scenario = scenario
    this.killOneIn = scenario.killOneIn
    const { members, secondaries, volumes } = scenario
    this.board = new SimBoard({ slots: members, secondaries, volumes }, this)
    const arenas = Array.from({ length: members }, () => new Arena(Arena.allocate(scenario.arena), scenario.arena))
    this.checker = new Checker(scenario, arenas)
    const link = (): Link =>
      new SimLink(new SharedArrayBuffer(linkBytes(scenario.linkCapacity)), scenario.linkCapacity, this)
    const links = Array.from({ length: members }, () => Array.from({ length: members }, link))
    const drains = Array.from({ length: members }, () => Array.from({ length: secondaries }, link))
    const tables = Array.from(
      { length: members },
      () => new SetTables(new SharedArrayBuffer(setTablesBytes(volumes)), volumes)
    )
    const surroundings: Surroundings = {
      clock: () => this.nowMs * 1000,
      ring: () => {
        this.rung = true
      }
    }
    this.coordinator = new Coordinator(
      {
        board: this.board,
        members,
        tables,
        policy: scenario.policy,
        periodMs: scenario.periodMs,
        secondaries,
        firstSet: scenario.firstSet,
        raiseCeiling: () => {},
        onSet: (progress) => this.onSet(progress),
        publishFinal: (positions) => {
          this.finalPositions = positions
        },
        onView: () => this.onView()
      },
      this.nowMs
    )
    this.settings = arenas.map(
      (_, slot): Setting => ({
        slot,
        members,
        mirrors: scenario.mirrors,
        mirrorTarget: scenario.mirrorTarget,
        ordering: scenario.ordering,
        volumes,
        board: this.board,
        arenas,
        outgoing: links[slot] as Link[],
        incoming: links.map((row) => row[slot] as Link),
        tables: tables[slot] as SetTables,
        chunks: new ChunkTable(ChunkTable.allocate(scenario.arena.chunks + scenario.arena.spareChunks)),
        secondaries: drains[slot] as Link[],
        secondaryOf: Uint8Array.from({ length: volumes }, (_unused, volume) => volume % Math.max(1, secondaries)),
        firstSet: scenario.firstSet | 0,
        surroundings
      })
    )
    this.partsOf = (slot) => {
      const observer = {
        held: (address: number) => this.checker.held(slot, address),
        discarded: (chunk: number) => this.checker.discarded(slot, chunk)
      }
      return { ...variant?.parts, places: observedPlaces(observer, variant?.parts?.places) }
    }
    this.members = this.settings.map((setting, slot) => this.newMember(setting, slot, false, []))
    this.sources = Array.from({ length: scenario.sources }, (_, id) => this.openSource(id, members))
    for (let slot = 0; slot < members; slot++) this.addComponent(slot)
    const images = Array.from({ length: volumes }, () => new Uint8Array(scenario.volumeBytes))
    const shared = this.sharedImages(images)
    for (let index = 0; index < secondaries; index++) {
      const Store = variant?.store ?? MemoryStore
      const receiver = new SetReceiver(
        {
          index,
          board: this.board,
          links: drains.map((row) => row[index] as Link),
          arenas,
          lastSet: scenario.firstSet - 1,
          surroundings
        },
        new Store(index, shared)
      )
      this.addActor(`secondary ${index}`, this.board.parking[members + index], () => receiver.step())
    }
    this.addActor('control', undefined, () => this.stepControl())
  }

  /** Another thread may run here. */
  point(pausesOneIn = LONG_PAUSE_ONE_IN): void {
    const { random } = this
    // While the world is being built, nobody runs.
    if (this.running.length === 0) return
    this.perhapsKill()
    if (this.running.length > DEEPEST) return
    // Mostly a few turns; now and then the thread sleeps here for as long as a whole set takes.
    if (random.chance(pausesOneIn)) for (let n = random.between(20, 120); n > 0; n--) this.turn()
    while (random.chance(this.scenario.interleaveOneIn)) {
      this.nested++
      this.stepActor(random.pick(this.actors))
    }
  }

  /** Runs `steps` turns of whoever chance picks, then lets everything come to its end (I6). */
  run(steps: number): void {
    for (let n = 0; n < steps; n++) this.turn()
    this.settle()
  }

  coverage(): Coverage {
    const sum = (count: (component: BackupComponent) => number): number =>
      this.members.reduce((total, { component }) => total + count(component), 0)
    return {
      updates: this.checker.acknowledgedUpdates,
      transactions: this.sources.reduce((total, source) => total + source.transactions, 0),
      waits: sum((component) => component.taker.waits),
      closedEarly: this.coordinator.closedEarly,
      idleSets: this.idleSets,
      sets: this.sets,
      severalMirrors: this.scenario.mirrors > 1 ? 1 : 0,
      nested: this.nested,
      deaths: this.deaths,
      deathsInChange: this.deathsInChange,
      views: this.views
    }
  }

  private turn(): void {
    this.steps++
    this.tellDeaths()
    const actor = this.random.pick(this.actors)
    if (this.stepActor(actor)) return
    if (this.actors.every((other) => !this.isAwake(other))) this.nowMs = Math.max(this.nowMs, this.dueAt)
    else if (this.random.chance(4)) this.nowMs += this.random.below(3)
  }

  /** No more is issued: what was must be acknowledged, secured and applied within a bounded number of steps. */
  private settle(): void {
    for (const source of this.sources) source.stopped = true
    this.killOneIn = 0
    const bound = this.steps + 20_000 + this.sources.reduce((total, source) => total + source.posted, 0) * 100
    while (!this.isSettled()) {
      if (this.steps > bound) throw new Violation('I6', `no end after ${bound} steps: ${this.describe()}`)
      this.turn()
    }
  }

  private isSettled(): boolean {
    return this.sources.every((source) => source.isDone) && this.checker.unapplied === 0
  }

  private describe(): string {
    const undone = this.sources.filter((source) => !source.isDone).length
    return `${undone} sources wait, ${this.checker.unapplied} updates are not applied, forming ${this.coordinator.formingSet}`
  }

  private openSource(id: number, members: number): SimSource {
    const memory = new SimSourceMemory(this.scenario.source, this, (from, to) =>
      this.checker.acknowledged(id, from, to)
    )
    const slot = this.random.below(members)
    memory.storeAttached(slot)
    const source = new SimSource(id, memory, this.random, this.scenario, this.checker)
    ;(this.members[slot] as ViewMember).attach({ id, memory }, 0)
    this.coordinator.sources.add({ id, memory })
    this.addActor(`source ${id}`, undefined, () => {
      if (!source.step()) return 1
      this.board.parking[memory.loadAttached()]?.wake()
      return 1
    })
    return source
  }

  private addActor(name: string, parking: Parking | undefined, step: () => number, slot = -1): void {
    this.actors.push({ name, parking, asleep: false, step, slot })
  }

  /** True if it did something. A thread that finds nothing says that it sleeps, looks once more, and sleeps. */
  private stepActor(actor: Actor): boolean {
    if (this.running.includes(actor) || !this.isAwake(actor)) return false
    this.running.push(actor)
    try {
      const { parking } = actor
      if (actor.step() > 0) return true
      if (parking === undefined) return false
      parking.prepare()
      if (actor.step() > 0) {
        parking.cancel()
        return true
      }
      actor.asleep = true
      return false
    } catch (error) {
      if (!(error instanceof Killed) || error.actor !== actor) throw error
      this.die(actor)
      return true
    } finally {
      this.running.pop()
    }
  }

  /** Any component may end at any of its accesses to shared memory. */
  private perhapsKill(): void {
    if (this.killOneIn === 0) return
    const actor = this.running[this.running.length - 1] as Actor
    if (actor.slot < 0 || !this.random.chance(this.killOneIn)) return
    // More of them at once than there are mirrors may lose something: that is another matter.
    const others = [...this.incomplete].filter((slot) => slot !== actor.slot)
    if (others.length < this.scenario.mirrors) throw new Killed(actor)
  }

  private die(actor: Actor): void {
    this.deaths++
    if (this.incomplete.size > 0) this.deathsInChange++
    this.actors.splice(this.actors.indexOf(actor), 1)
    this.incomplete.add(actor.slot)
    this.ended.push({ slot: actor.slot, told: false, wait: this.random.below(30) })
  }

  /** The control thread learns of a death some time after it, and finds a replacement some time after that. */
  private tellDeaths(): void {
    const first = this.ended[0]
    if (first === undefined || first.wait-- > 0 || this.running.length > 0) return
    const { slot } = first
    if (!first.told) {
      first.told = true
      first.wait = this.random.below(20)
      this.coordinator.failed(slot)
      this.checker.died(slot, (holder) => !this.incomplete.has(holder))
      const arena = (this.settings[slot] as Setting).arenas[slot] as Arena
      arena.bytes.fill(0xdd)
      this.rung = true
      return
    }
    this.ended.shift()
    const sources = this.sources.filter(({ memory }) => memory.loadAttached() === slot)
    this.members[slot] = this.newMember(this.settings[slot] as Setting, slot, true, sources)
    this.addComponent(slot)
    this.coordinator.replaced(slot)
    this.rung = true
  }

  private newMember(setting: Setting, slot: number, fresh: boolean, sources: readonly SimSource[]): ViewMember {
    return new ViewMember(setting, this.partsOf(slot), () => this.finalPositions, fresh, sources)
  }

  private addComponent(slot: number): void {
    this.addActor(`component ${slot}`, this.board.parking[slot], () => (this.members[slot] as ViewMember).step(), slot)
  }

  private onView(): void {
    this.views++
    this.incomplete.clear()
    // Who died just before has not been missed yet.
    for (const { slot } of this.ended) this.incomplete.add(slot)
    this.checker.recount((slot) => {
      const addresses: number[] = []
      const secured = this.coordinator.securedSet | 0
      forEachHeld(this.settings[slot] as Setting, secured, (address) => addresses.push(address))
      return addresses
    })
  }

  private isAwake(actor: Actor): boolean {
    if (actor.name === 'control') return this.rung || this.nowMs >= this.dueAt
    if (actor.name.startsWith('source')) return true
    if (actor.asleep && !(actor.parking as Parking).isParked()) actor.asleep = false
    return !actor.asleep
  }

  private stepControl(): number {
    this.rung = false
    this.dueAt = this.nowMs + this.coordinator.step(this.nowMs, this.nowMs)
    return 1
  }

  private onSet(progress: SetProgress): void {
    const { set, state, updates } = progress
    const isEmpty = updates === 0 || this.scenario.secondaries === 0
    if (state === 'formed') this.sets++
    if (state === 'formed' && updates === 0) this.idleSets++
    if (state === 'secured' && isEmpty) this.checker.securedEmpty(set, this.scenario.secondaries === 0)
    if (state === 'applied' && isEmpty) this.checker.applied(set, undefined)
    if (state === 'applied' && this.random.chance(8)) this.coordinator.closeSet(undefined)
  }

  private sharedImages(images: readonly Uint8Array[]): SecondaryImages {
    return {
      images,
      journaled: (_component, set, updates) => this.checker.journal(set, updates),
      committed: (set) => this.checker.committed(set),
      announced: () => {},
      beginApply: () => {},
      marked: (set) => this.checker.applied(set, images)
    }
  }
}

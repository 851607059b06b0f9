import { CHUNK_MOVING } from '../memory/chunk-table.ts'
import type { Link } from '../memory/link.ts'
import type { Parking } from '../memory/parking.ts'
import type { BackupComponent } from '../protocol/component.ts'
import { LossError } from '../protocol/conservation.ts'
import { Coordinator } from '../protocol/coordinator.ts'
import { Membership } from '../protocol/membership.ts'
import { type FinalPositions, forEachHeld } from '../protocol/rebuild.ts'
import { SetLine, type SetProgress } from '../protocol/set-line.ts'
import { SetReceiver } from '../protocol/set-receiver.ts'
import { arenaOf, type Place, type Surroundings } from '../protocol/setting.ts'
import { SpoolKeeper } from '../protocol/spool-keeper.ts'
import { ViewChanges } from '../protocol/view-changes.ts'
import { type ViewFacts, ViewMember } from '../protocol/view-member.ts'
import { Checker } from './checker.ts'
import { type Coverage, emptyCoverage } from './coverage.ts'
import { Faults, SPOOL } from './faults.ts'
import { observedPlaces, SimBoard, SimSourceMemory } from './instrumented.ts'
import { ToldBoard, toldCutBack, toldTransfer, toldViews } from './listening.ts'
import { MemorySpool, type SpoolDisk } from './memory-spool.ts'
import { MemoryStore, type SecondaryImages } from './memory-store.ts'
import { Primary } from './primary.ts'
import { Random } from './random.ts'
import { drawScenario, type Scenario } from './scenario.ts'
import { Actor, Scheduler } from './scheduler.ts'
import { type ScriptedSource, SimSource } from './sim-source.ts'
import { Story } from './story.ts'
import type { Variant } from './variant.ts'
import { Violation } from './violation.ts'
import { type Wiring, wire } from './wiring.ts'

/** One that waits for room on its disk goes on by itself. */
interface Patient {
  readonly dueInMs: number
  step(): number
}

export interface WorldOptions {
  readonly variant?: Variant | undefined
  /** Instead of one that the seed draws. */
  readonly scenario?: Scenario
  /** A component that makes the n-th access to shared memory dies there. */
  readonly killAt?: readonly number[]
  /** What each source posts, one a turn, instead of what chance says. */
  readonly scripts?: readonly ScriptedSource[]
  /** Is told what happens, for people to read. */
  readonly trace?: (line: string) => void
  /** Also what each component says of a set. */
  readonly detailed?: boolean
}

/**
 * A whole group in one thread: the same components, coordinator and secondary components as on threads, on the same memory,
 * driven in an order that a seed decides. At each atomic access others may run in between, or the one that makes it ends.
 */
export class World {
  readonly scenario: Scenario
  readonly coordinator: Coordinator
  readonly membership: Membership
  readonly sources: readonly SimSource[]
  readonly checker: Checker
  readonly scheduler: Scheduler
  readonly board: SimBoard
  readonly coverage: Coverage = emptyCoverage()
  /** By slot: the component that is there now. */
  readonly members: (ViewMember | undefined)[] = []
  /** What was lost, when the group had to say so. */
  loss: LossError | undefined
  /** There is no memory for bytes that have to be fetched, or no set can be closed for them: the group is suspended. */
  private hasNoRoom = false
  private readonly options: WorldOptions
  /** Whether a component that is taken for failed is really ended. */
  readonly fences: boolean
  private readonly random: Random
  readonly faults: Faults
  /** Where nobody listens there is none. */
  readonly story: Story | undefined
  private readonly wiring: Wiring
  private readonly surroundings: Surroundings
  private readonly images: SecondaryImages
  private readonly spoolDisk: SpoolDisk
  private readonly patients = new Map<Actor, Patient>()
  private patientsDueAt = Number.POSITIVE_INFINITY
  private readonly primary: Primary
  /** By slot: fetched bytes on their way to the component. */
  private readonly mail: { view: number; id: number; bytes: Uint8Array }[][] = []
  /** Names of sets: told to the secondary; in commit records. */
  private readonly labels = new Map<number, string>()
  private readonly recordedLabels = new Map<number, string | undefined>()
  /** What members are told before they rebuild. */
  private facts: ((slot: number) => ViewFacts) | undefined
  private rung = true
  private nowMs = 1_000_000
  private dueAt = 0

  constructor(seed: number, options: WorldOptions = {}) {
    const random = new Random(seed)
    const scenario = options.scenario ?? drawScenario(random)
    const { slots, secondaries, volumes } = scenario
    this.options = options
    this.fences = options.variant?.unfenced !== true
    this.random = random
    this.scenario = scenario
    this.scheduler = new Scheduler(random, scenario.interleaveOneIn)
    const { trace, detailed = false } = options
    this.story = trace === undefined ? undefined : new Story(this, trace, detailed)
    const layout = { slots, secondaries, volumes }
    this.board =
      this.story === undefined
        ? new SimBoard(layout, this.scheduler)
        : new ToldBoard(layout, this.scheduler, this.story)
    this.surroundings = {
      clock: () => this.nowMs * 1000,
      ring: () => {
        this.rung = true
      },
      fetch: (request) => {
        this.primary.fetch(request)
        this.rung = true
      }
    }
    this.primary = new Primary(volumes, scenario.volumeBytes, random)
    this.wiring = wire(scenario, this.board, this.scheduler, this.surroundings, () => this.drawSlowness())
    const { arenas, tables } = this.wiring
    this.checker = new Checker(scenario, arenas)
    const { views } = options.variant ?? {}
    this.coordinator = new Coordinator(
      {
        board: this.board,
        founders: scenario.members,
        mirrors: scenario.mirrors,
        tables,
        policy: scenario.policy,
        periodMs: scenario.periodMs,
        secondaries,
        metadataOnly: scenario.metadataOnly,
        confirm: scenario.confirm,
        spool: scenario.spool,
        shortAfterMs: scenario.spool?.afterMs ?? 0,
        firstSet: scenario.firstSet,
        raiseCeiling: () => {},
        onSet: (progress) => this.onSet(progress),
        tellLabel: (set, label) => this.labels.set(set, label),
        publishFinal: (positions) => this.publish(positions),
        onView: (view) => this.onView(view),
        ...(options.variant?.merging && { merging: options.variant.merging }),
        line: countedLine(this.coverage, options.variant?.line),
        ...(options.variant?.spools && { spools: options.variant.spools }),
        views: this.story === undefined ? (views ?? ViewChanges) : toldViews(this.story, views)
      },
      this.nowMs
    )
    this.faults = new Faults(this, random, options)
    this.membership = new Membership({
      coordinator: this.coordinator,
      host: this.faults,
      components: scenario.members,
      slots,
      mirrors: scenario.mirrors,
      takeover: scenario.takeover
    })
    for (let slot = 0; slot < scenario.members; slot++) this.startComponent(slot, scenario.firstSet | 0)
    this.sources = Array.from({ length: scenario.sources }, (_, id) => this.openSource(id))
    const images = Array.from({ length: volumes }, () => new Uint8Array(scenario.volumeBytes))
    this.spoolDisk = this.makeSpoolDisk()
    this.images = this.sharedImages(images)
    for (let index = 0; index < secondaries; index++) this.startSecondary(index, false)
    if (scenario.spool !== undefined) this.startSpool(false)
    const isDue = (): boolean => this.rung || this.nowMs >= this.dueAt || this.isPending
    this.scheduler.add(new Actor('control', () => this.stepControl(), { isDue }))
    this.story?.begin()
  }

  /** Runs `steps` turns of whoever chance picks, then heals, and lets everything come to its end (I6). */
  run(steps: number): void {
    for (let n = 0; n < steps && !this.isSuspended; n++) this.turn()
    if (this.isSuspended) this.finishSecondary()
    else this.settle()
    this.coverage.updates = this.checker.acknowledgedUpdates
    this.coverage.transactions = this.sources.reduce((total, source) => total + source.transactions, 0)
    this.coverage.waits = this.count((component) => component.taker.waits)
    this.coverage.nested = this.scheduler.nested
    this.coverage.closedEarly = this.coordinator.closedEarly
    this.coverage.refetched = this.primary.refetched
    this.coverage.leftOut = this.checker.leftOut
    this.coverage.overlapped = this.board.overlapped
    if (this.scenario.mirrors > 1) this.coverage.severalMirrors = 1
    if (this.scenario.mirrors > 2) this.coverage.threeMirrors = 1
  }

  /** A component that holds nothing begins in this slot, or one of the group's first. */
  startComponent(slot: number, firstSet?: number): Actor {
    const { checker, story } = this
    const place = this.placeOf(slot)
    const observer = {
      held: (address: number) => {
        story?.held(place, address)
        // What a view moves is looked up when the view stands. (By its chunk, not by the phase: that may be over by now.)
        const chunk = address >>> arenaOf(place, slot).layout.chunkShift
        const isMoved = place.chunks.stateOf(chunk) === CHUNK_MOVING && place.chunks.senderOf(chunk) !== slot
        if (!isMoved) checker.held(slot, address)
      },
      discarded: (chunk: number) => checker.discarded(slot, chunk)
    }
    const { variant } = this.options
    const own = variant?.parts ?? {}
    const parts = {
      ...own,
      places: observedPlaces(arenaOf(place, slot), observer, own.places),
      ...(story && { cutBack: toldCutBack(story, own.cutBack), transfer: toldTransfer(story, slot, own.transfer) })
    }
    const Member = variant?.member ?? ViewMember
    const member = new Member(place, parts, firstSet)
    this.members[slot] = member
    // Its mailbox was there before it.
    if (this.facts !== undefined) member.prepare(this.facts(slot))
    const parking = this.board.parking[slot]
    this.mail[slot] = []
    const step = (): number => this.takeMail(slot, member) + member.step()
    const actor = new Actor(`component ${slot}`, step, { slot, ...(parking && { parking }) })
    actor.slowness = this.drawSlowness()
    return this.scheduler.add(actor)
  }

  startSecondary(index: number, resume: boolean): Actor {
    const Store = this.options.variant?.store ?? MemoryStore
    const { board, surroundings } = this
    const receiver = new SetReceiver(
      {
        index,
        board,
        links: this.wiring.drains.map((row) => row[index] as Link),
        arenas: this.wiring.arenas,
        lastSet: this.scenario.firstSet - 1,
        surroundings,
        resume,
        labelOf: (set) => this.labels.get(set),
        tellsReceived: this.scenario.confirm === 'mirrored',
        ...(this.options.variant?.partsReceiver && { parts: this.options.variant.partsReceiver })
      },
      new Store(index, this.images)
    )
    return this.addPatient(`secondary ${index}`, receiver, board.parking[this.scenario.slots + index] as Parking)
  }

  startSpool(resume: boolean): Actor {
    const { board, surroundings, wiring, scenario } = this
    const { partsReceiver } = this.options.variant ?? {}
    const keeper = new SpoolKeeper(
      {
        board,
        links: wiring.drains.map((row) => row[scenario.secondaries] as Link),
        arenas: wiring.arenas,
        lastSet: scenario.firstSet - 1,
        surroundings,
        resume,
        ...(partsReceiver && { parts: partsReceiver })
      },
      new MemorySpool(this.spoolDisk)
    )
    return this.addPatient(SPOOL, keeper, board.spoolParking)
  }

  /** It may have to do something though nobody wakes it. */
  private addPatient(name: string, agent: Patient, parking: Parking): Actor {
    const actor = this.scheduler.add(new Actor(name, () => agent.step(), { parking }))
    this.patients.set(actor, agent)
    return actor
  }

  private rousePatients(): void {
    const due: number[] = []
    for (const [actor, agent] of this.patients) {
      if (!this.scheduler.actors.includes(actor)) this.patients.delete(actor)
      else if (agent.dueInMs <= 0) actor.parking?.rouse()
      else due.push(this.nowMs + agent.dueInMs)
    }
    this.patientsDueAt = Math.min(...due, Number.POSITIVE_INFINITY)
  }

  /** Its memory is gone: whoever reads it reads nonsense. */
  overwrite(slot: number): void {
    this.wiring.arenas[slot]?.bytes.fill(0xdd)
    this.members[slot] = undefined
  }

  ring(): void {
    this.rung = true
  }

  /** Something is on its way to the control thread. */
  private get isPending(): boolean {
    return this.faults.isPending || this.primary.isPending
  }

  private takeMail(slot: number, member: ViewMember): number {
    const mail = this.mail[slot]?.splice(0) ?? []
    for (const { view, id, bytes } of mail) member.fetched(view, id, bytes)
    return mail.length
  }

  private placeOf(slot: number): Place {
    return this.wiring.places[slot] as Place
  }

  private drawSlowness(): number {
    const { slowness } = this.scenario.faults
    return slowness > 1 && this.random.chance(3) ? this.random.between(2, slowness) : 1
  }

  private turn(): void {
    if (this.scheduler.turn()) return
    const { actors } = this.scheduler
    this.rousePatients()
    if (!actors.some((other) => other.isAwake))
      this.nowMs = Math.max(this.nowMs, Math.min(this.dueAt, this.patientsDueAt))
    else if (this.random.chance(4)) this.nowMs += this.random.below(3)
  }

  /** No more is issued, nobody dies: what was issued must be acknowledged, secured and applied within bounded steps. */
  private settle(): void {
    for (const source of this.sources) source.stopped = true
    this.faults.heal()
    const posted = this.sources.reduce((total, source) => total + source.posted, 0)
    const bound = this.scheduler.steps + (20_000 + posted * 100) * this.scenario.faults.slowness
    while (!this.isSettled() && !this.isSuspended) {
      if (this.scheduler.steps > bound) throw new Violation('I6', `no end after ${bound} steps: ${this.describe()}`)
      this.turn()
    }
    if (this.isSuspended) this.finishSecondary()
  }

  private get isSuspended(): boolean {
    return this.loss !== undefined || this.hasNoRoom
  }

  private isSettled(): boolean {
    return this.sources.every((source) => source.isDone) && this.checker.unapplied === 0 && !this.isPending
  }

  /** The group is suspended: the secondary finishes what it was told, and stays at a whole set. */
  private finishSecondary(): void {
    this.faults.heal()
    this.faults.replaceSecondaries()
    const secondaries = this.scheduler.actors.filter(({ name }) => name.startsWith('secondary'))
    for (let turns = 0; turns < 10_000; turns++) {
      // One that waits for room tries again after a while.
      this.nowMs++
      this.rousePatients()
      for (const actor of secondaries) this.scheduler.stepActor(actor)
    }
    this.checker.isWhole(this.images.images)
    this.story?.line(`secondary: stays as it was after set ${this.coordinator.appliedSet}`)
  }

  private describe(): string {
    const undone = this.sources.filter((source) => !source.isDone).length
    const { members, view, stands, formingSet } = this.coordinator
    return (
      `${undone} sources wait, ${this.checker.unapplied} updates are not applied, forming ${formingSet}, ` +
      `view ${view} of ${members.join()}${stands ? '' : ' does not stand'}`
    )
  }

  private openSource(id: number): SimSource {
    const { checker, scenario, random } = this
    const script = this.options.scripts?.[id]
    const memory = new SimSourceMemory(scenario.source, this.scheduler, (from, to) => {
      checker.acknowledged(id, from, to)
      this.story?.acknowledged(id, from, to)
    })
    const slot = script?.attached ?? random.below(scenario.members)
    memory.storeAttached(slot)
    const source = new SimSource({
      id,
      memory,
      random,
      scenario,
      checker,
      primary: this.primary,
      script: script?.writes
    })
    ;(this.members[slot] as ViewMember).attach({ id, memory })
    this.coordinator.sources.add({ id, memory })
    const step = (): number => {
      const before = source.posted
      if (source.step()) {
        const attached = memory.loadAttached()
        this.story?.posted(id, before, source.posted, attached)
        this.board.parking[attached]?.wake()
      }
      return 1
    }
    this.scheduler.add(new Actor(`source ${id}`, step))
    return source
  }

  private publish(final: FinalPositions): void {
    this.story?.settled(final)
    this.facts = (slot) => ({
      final,
      sources: this.sources.filter(({ memory }) => memory.loadAttached() === slot)
    })
    for (const slot of this.coordinator.members) this.members[slot]?.prepare(this.facts(slot))
  }

  private onView(view: number): void {
    this.coverage.views++
    if (this.coordinator.spool?.isEmpty === false) this.coverage.viewsWhileSpooling++
    this.faults.viewStands()
    this.membership.viewStands()
    const members = this.coordinator.members
    this.story?.viewStands(view, members)
    this.checker.recount(members, this.heldBy)
  }

  private readonly heldBy = (slot: number): number[] => {
    const addresses: number[] = []
    const secured = this.coordinator.releasedSet | 0
    forEachHeld(this.placeOf(slot), secured, (address) => addresses.push(address))
    return addresses
  }

  private stepControl(): number {
    if (this.isSuspended) return 0
    this.rung = false
    this.faults.tell()
    this.primary.step((request, bytes) => {
      this.coordinator.fetchEnded(request.set)
      this.mail[request.slot]?.push({ view: request.view, id: request.id, bytes })
      this.board.parking[request.slot]?.wake()
    })
    try {
      this.dueAt = this.nowMs + this.coordinator.step(this.nowMs, this.nowMs)
      this.membership.step()
    } catch (error) {
      if (!(error instanceof LossError)) throw error
      this.lose(error)
    }
    this.checkRoom()
    return 1
  }

  /** As the control thread does. Only where bytes have to be fetched may it come to that here. */
  private checkRoom(): void {
    if (!this.scenario.metadataOnly) return
    const { members, relief } = this.coordinator
    const isFull = relief.isStuck || members.some((slot) => this.board.loadNoRoom(slot) === 1)
    if (!isFull && !this.coordinator.isBoundTooFar) return
    this.hasNoRoom = true
    if (isFull) this.coverage.noRoom++
    else this.coverage.boundTooFar++
  }

  /** The group says that something is lost: it must be so. */
  private lose(loss: LossError): void {
    const lost = this.checker.lost(this.coordinator.members, this.heldBy)
    if (lost.length === 0) throw new Violation('I1', `nothing is lost, but ${loss.message}`)
    const missed = lost.filter(({ set, volume }) => !loss.sets.includes(set) || !loss.volumes.includes(volume))
    if (missed.length > 0) throw new Violation('I1', `a loss of set ${missed[0]?.set} is not named: ${loss.message}`)
    if (this.faults.isTolerable)
      throw new Violation('I1', `lost though no more have died than there are mirrors: ${loss.message}`)
    this.loss = loss
    this.coverage.losses++
    this.story?.line(`control: the group is suspended, ${loss.message}; volumes ${loss.volumes.join(', ')}`)
  }

  private onSet(progress: SetProgress): void {
    const { set, state, updates, label } = progress
    this.story?.set(progress)
    if (state === 'secured' && this.scenario.secondaries > 0) this.checkLabel(progress)
    if (state === 'applied' && label !== undefined) this.coverage[updates === 0 ? 'namedIdle' : 'named']++
    const isEmpty = updates === 0 || this.scenario.secondaries === 0
    if (state === 'formed') this.coverage.sets++
    if (state === 'secured' && progress.together !== set) this.coverage.merged++
    if (state === 'formed' && updates === 0) this.coverage.idleSets++
    if (state === 'secured' && isEmpty) this.checker.securedEmpty(set, this.scenario.secondaries === 0)
    if (state === 'applied' && isEmpty) this.checker.applied(set, undefined)
    if (state === 'applied' && this.scenario.interleaveOneIn > 0 && this.random.chance(8)) {
      this.coordinator.closeSet(set % 2 === 0 ? `after-${set}` : undefined)
    }
  }

  /** The record that secures a named set bears its name, or that of a later one which it covers too. */
  private checkLabel({ set, label, together }: SetProgress): void {
    if (label === undefined) return
    const recorded = this.recordedLabels.get(together)
    if (recorded === label || (recorded !== undefined && together > set)) return
    throw new Violation('I2', `set ${set} was secured without its name, '${label}': ${recorded}`)
  }

  /** Sums over components; those that have died took theirs along. */
  count(of: (component: BackupComponent) => number): number {
    return this.members.reduce((sum, member) => sum + (member?.component === undefined ? 0 : of(member.component)), 0)
  }

  private makeSpoolDisk(): SpoolDisk {
    return {
      sets: new Map(),
      secondaries: this.scenario.secondaries,
      writing: () => this.faults.writing(),
      kept: (set, updates) => {
        this.coverage.kept++
        this.story?.line(`spool: keeps set ${set}`)
        this.checker.keptInSpool(set, updates)
      },
      taken: () => this.coverage.unspooled++,
      removed: (upTo) => this.checker.removedFromSpool(upTo)
    }
  }

  private sharedImages(images: readonly Uint8Array[]): SecondaryImages {
    return {
      images,
      spool: this.spoolDisk,
      writing: () => this.faults.writing(),
      journaled: (component, set, updates) => {
        this.story?.journaled(component, set, updates)
        this.checker.journal(set, updates)
      },
      committed: (set, label) => {
        this.recordedLabels.set(set, label)
        this.checker.committed(set)
      },
      announced: (set) => this.story?.line(`secondary: set ${set} is brought into the volumes`),
      beginApply: () => {},
      marked: (set) => {
        this.checker.applied(set, images)
        this.story?.line(`secondary: the volumes are what the primary's were when set ${set} closed`)
      }
    }
  }
}

function countedLine(coverage: Coverage, base: typeof SetLine = SetLine): typeof SetLine {
  return class extends base {
    protected override giveUpTransfer(set: number): void {
      coverage.givenUp++
      super.giveUpTransfer(set)
    }
  }
}

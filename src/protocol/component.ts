import type { Arena } from '../memory/arena.ts'
import {
  ALL_USED,
  STAT_FREE_CHUNKS,
  STAT_HELD_BYTES,
  STAT_HELD_UPDATES,
  STAT_RECEIVED,
  STAT_REJECTED,
  STAT_TAKEN,
  STAT_WAITS
} from '../memory/board.ts'
import type { Link } from '../memory/link.ts'
import type { Parking } from '../memory/parking.ts'
import { SOURCE_CLOSING } from '../memory/source-memory.ts'
import { Acknowledger } from './acknowledge.ts'
import { Credits } from './credits.ts'
import { HeldUpdates } from './held.ts'
import { bitsOf } from './holders.ts'
import { lanesPerPeer } from './lane.ts'
import { onwardOf } from './members.ts'
import { OutLink } from './out-link.ts'
import type { Places } from './places.ts'
import { cutBack } from './rebuild.ts'
import { InLink, Receiver } from './receive.ts'
import { Refetch } from './refetch.ts'
import { Restore } from './restore.ts'
import { Sequencer } from './sequencer.ts'
import { isAfter } from './set-identifier.ts'
import { arenaOf, type Setting } from './setting.ts'
import { SourceIntake } from './source-intake.ts'
import { Taker } from './take.ts'
import { Transfer, wayToSecondaries, wayToSpool } from './transfer.ts'

/** The parts of a component that the simulator's deliberately broken variants replace. */
export interface ComponentParts {
  readonly outLink: typeof OutLink
  readonly places: typeof Places | undefined
  readonly taker: typeof Taker
  readonly held: typeof HeldUpdates
  readonly transfer: typeof Transfer
  // Of a change of view (view-member.ts).
  readonly restore: typeof Restore
  readonly cutBack: typeof cutBack
  readonly resume: typeof SourceIntake.resume
}

export const PARTS: ComponentParts = {
  outLink: OutLink,
  places: undefined,
  taker: Taker,
  held: HeldUpdates,
  transfer: Transfer,
  restore: Restore,
  cutBack,
  resume: SourceIntake.resume
}

/**
 * One backup component: a state machine over the memory that it shares with others. Each `step` is one turn of its duty
 * cycle, in the order in which an update passes: what peers sent, what they answered, acknowledge, take, close sets, send.
 * It never waits and knows no clock; whoever drives it decides what to do when a step found nothing.
 */
export class BackupComponent {
  readonly held: HeldUpdates
  readonly credits: Credits
  /** By slot: of the members of the view, the own one left out. */
  readonly outs: readonly OutLink[]
  readonly taker: Taker
  readonly receiver: Receiver
  readonly transfer: Transfer
  readonly toSpool: Transfer
  readonly refetch: Refetch
  readonly intakes: SourceIntake[] = []
  private readonly setting: Setting
  private readonly acknowledger: Acknowledger
  private readonly peers: readonly OutLink[]
  private readonly links: readonly InLink[]
  private readonly arena: Arena
  /** Sources that found no room, in the order in which they did: served first come, first served. */
  private readonly queue: SourceIntake[] = []
  private quiet: number
  private manifested: number
  private discarded: number
  private pressure = 0
  /** What was counted in this slot before a view changed: counts go on, and only a new component begins at 0. */
  private readonly counted: Float64Array

  /**
   * @param inherit  fills in what is held already, when a view has changed
   */
  constructor(setting: Setting, parts: Partial<ComponentParts> = {}, inherit?: (held: HeldUpdates) => void) {
    const { outLink, places, taker, held, transfer } = { ...PARTS, ...parts }
    this.setting = setting
    this.counted = Float64Array.from(setting.board.statistics[setting.slot] as Float64Array)
    this.arena = arenaOf(setting, setting.slot)
    const peers = setting.members.filter((slot) => slot !== setting.slot)
    this.peers = peers.map((slot) => {
      const parking = setting.board.parking[slot] as Parking
      const link = setting.outgoing[slot] as Link
      const onward = onwardOf(setting.eligible, slot, setting.slot, setting.mirrors)
      const holders = bitsOf([setting.slot, slot, ...onward])
      return new outLink(slot, link, arenaOf(setting, slot), parking, lanesPerPeer(setting.mirrors), holders)
    })
    // Without holes: it is looked into for each update.
    const outs: (OutLink | undefined)[] = Array.from({ length: setting.board.layout.slots }, () => undefined)
    for (const out of this.peers) outs[out.slot] = out
    this.outs = outs as OutLink[]
    this.links = peers.map((slot) => new InLink(slot, setting.incoming[slot] as Link, setting.mirrors - 1))
    this.held = new held(setting.tables, setting.firstSet)
    inherit?.(this.held)
    this.credits = new Credits(setting, this.outs, places)
    const sequencer = new Sequencer(setting)
    this.taker = new taker(setting, this.outs, this.credits.own, this.credits.places, this.held, sequencer)
    this.refetch = new Refetch(setting, this.held, this.credits.places)
    this.receiver = new Receiver(
      setting,
      this.outs,
      this.credits.places,
      this.held,
      sequencer,
      this.credits,
      this.refetch
    )
    this.acknowledger = new Acknowledger(setting, this.outs)
    this.transfer = new transfer(setting, this.held, wayToSecondaries(setting))
    this.toSpool = new transfer(setting, this.held, wayToSpool(setting))
    this.quiet = (setting.firstSet - 1) | 0
    this.manifested = this.quiet
    this.discarded = this.quiet
  }

  attach(intake: SourceIntake): void {
    this.intakes.push(intake)
  }

  /** Lets go of a source when nothing of it is under way. */
  detach(intake: SourceIntake): void {
    const at = this.intakes.indexOf(intake)
    if (at >= 0) this.intakes.splice(at, 1)
    const waits = this.queue.indexOf(intake)
    if (waits >= 0) this.queue.splice(waits, 1)
  }

  /** One turn while copies are restored: nothing is taken, acknowledged, closed or transferred. */
  restoreStep(restore: Restore): number {
    let work = 0
    for (const link of this.links) work += this.receiver.receiveFrom(link)
    for (const out of this.peers) work += out.receiveAnswers(this.arena)
    work += restore.send()
    for (const out of this.peers) work += out.flushOverflow()
    for (const out of this.peers) out.publish()
    return work
  }

  /** The view stands: what was moved counts. */
  keepMoved(): void {
    this.credits.places.keepMoved((this.setting.firstSet - 1) | 0)
  }

  /** One turn. Returns how much was done; 0 when there was nothing. */
  step(): number {
    let work = 0
    for (const link of this.links) work += this.receiver.receiveFrom(link)
    for (const out of this.peers) work += out.receiveAnswers(this.arena)
    for (const intake of this.intakes) work += this.acknowledger.acknowledge(intake)
    work += this.takeFromSources()
    work += this.closeSets()
    work += this.serveLanes()
    work += this.refetch.step()
    work += this.transfer.send()
    work += this.toSpool.send()
    for (const out of this.peers) work += out.flushOverflow()
    for (const out of this.peers) out.publish()
    if (work > 0) this.report()
    return work
  }

  /** A source that has said that it posts no more, and of which all is acknowledged. */
  finishedSource(): SourceIntake | undefined {
    const { intakes } = this
    // By number: an iterator is an object more, each time that there is nothing to do.
    for (let n = 0; n < intakes.length; n++) {
      const intake = intakes[n] as SourceIntake
      const { memory } = intake
      if (memory.loadState() === SOURCE_CLOSING && memory.loadPublished() === intake.acknowledged) return intake
    }
    return undefined
  }

  private takeFromSources(): number {
    if (this.queue.length > 0) return this.serveQueue()
    let work = 0
    for (const intake of this.intakes) {
      work += this.taker.takeFrom(intake)
      if (intake.waiting) {
        this.queue.push(intake)
        return work
      }
    }
    return work
  }

  /**
   * Room is short. Whoever comes now gets in line; who is served and wants more gets in line again, behind the others:
   * a source that is never empty would else have all the room for ever.
   */
  private serveQueue(): number {
    const { queue } = this
    for (const intake of this.intakes) {
      if (!queue.includes(intake) && intake.memory.loadPublished() !== intake.taken) queue.push(intake)
    }
    let work = 0
    for (let left = queue.length; left > 0; left--) {
      const first = queue[0] as SourceIntake
      const taken = this.taker.takeFrom(first)
      work += taken
      if (first.waiting && taken === 0) return work
      queue.shift()
      if (first.waiting) queue.push(first)
    }
    return work
  }

  /** Says how far this component is quiet, hands in manifests, discards what is secured. */
  private closeSets(): number {
    const { board, slot, surroundings } = this.setting
    let work = 0
    const forming = board.loadForming()
    const quiet = (this.acknowledger.oldestSet(this.intakes, forming) - 1) | 0
    if (isAfter(quiet, this.quiet)) {
      this.quiet = quiet
      board.storeQuiet(slot, quiet)
      surroundings.ring()
      work++
    }
    const sealed = board.loadSealed()
    if (isAfter(sealed, this.manifested)) {
      // All components are quiet in it: nothing can be added to the table, which is the manifest.
      this.manifested = sealed
      board.storeManifested(slot, sealed)
      surroundings.ring()
      work++
    }
    const secured = board.loadSecured()
    if (isAfter(secured, this.discarded)) {
      this.credits.discard(secured)
      for (let set = this.discarded; set !== secured; ) {
        set = (set + 1) | 0
        this.held.discard(set)
      }
      this.transfer.discard(secured)
      this.toSpool.discard(secured)
      this.refetch.discard(secured)
      this.discarded = secured
      board.storeDiscarded(slot, secured)
      surroundings.ring()
      work++
    }
    return work
  }

  private serveLanes(): number {
    const { places } = this.credits
    if (this.setting.metadataOnly === true) places.lent = this.setting.board.loadLenient()
    const work = places.isQueued ? places.serve() : 0
    const pressure = places.isShort ? (places.isAllUsed ? ALL_USED : 1) : 0
    if (pressure !== this.pressure) {
      this.pressure = pressure
      this.setting.board.storePressure(this.setting.slot, pressure)
      this.setting.surroundings.ring()
      return work + 1
    }
    return work
  }

  private report(): void {
    const { counted } = this
    const statistics = this.setting.board.statistics[this.setting.slot] as Float64Array
    statistics[STAT_HELD_UPDATES] = this.held.heldUpdates
    statistics[STAT_HELD_BYTES] = this.held.heldBytes
    statistics[STAT_TAKEN] = (counted[STAT_TAKEN] as number) + this.taker.taken
    statistics[STAT_REJECTED] = (counted[STAT_REJECTED] as number) + this.receiver.rejected
    statistics[STAT_WAITS] = (counted[STAT_WAITS] as number) + this.taker.waits
    statistics[STAT_RECEIVED] = (counted[STAT_RECEIVED] as number) + this.receiver.received
    statistics[STAT_FREE_CHUNKS] = this.credits.places.freeChunks
  }
}

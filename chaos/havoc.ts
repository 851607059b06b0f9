import { setTimeout as pause } from 'node:timers/promises'
import { failSecondaryComponent, failSpool, stallSecondary } from '../src/chaos.ts'
import { type BackupGroup, TidemarkError } from '../src/index.ts'
import { Random } from '../src/sim/random.ts'
import type { Copies } from './copies.ts'
import { Deaths } from './deaths.ts'
import type { EventLog } from './event-log.ts'
import type { Gauges } from './gauges.ts'
import { describeView, kill } from './kill.ts'
import { KILLS, type Kill, type Kind } from './kinds.ts'
import type { RoundPlan } from './plan.ts'
import type { Totals } from './totals.ts'
import { Violation } from './violation.ts'

const MOST_COMPONENTS = 8
/** Writers that shall come to their end need more time between kills than those that have no end. */
const CALM_BREATH_MS = 250
/** The secondary stands still for so long at most. */
const LONGEST_STALL_MS = 500
/** A component that dies at the wrong moment for its own leave or look. */
const GONE_MEANWHILE = ['TIDEMARK_UNKNOWN_COMPONENT', 'TIDEMARK_NOT_REDUNDANT']

type Act = 'kill' | 'kill many' | Exclude<Kind, Kill | 'survivors'>
const WEIGHTS: readonly (readonly [Act, number, readonly Kind[]])[] = [
  ['kill', 8, KILLS],
  ['kill many', 3, KILLS],
  ['secondary', 2, ['secondary']],
  ['stall', 1, ['stall']],
  ['spool', 1, ['spool']],
  ['join', 2, ['join']],
  ['leave', 2, ['leave']],
  ['sets', 3, ['sets']],
  ['hold', 4, ['hold']],
  ['restore', 2, ['restore']],
  ['look', 2, ['look']]
]

export interface HavocFrame {
  readonly group: BackupGroup
  readonly plan: RoundPlan
  readonly gauges: Gauges
  /** Undefined when formed sets are discarded. */
  readonly copies: Copies | undefined
  readonly totals: Totals
  readonly log: EventLog
  /** Aborted when the round is given up. */
  readonly signal: AbortSignal
}

/** Kills, joins, leaves and looks, one after another and at once, until told to stop. */
export class Havoc {
  private readonly frame: HavocFrame
  private readonly random: Random
  private readonly deaths: Deaths
  private readonly kills: readonly Kill[]
  private readonly acts: readonly Act[]
  /** All that were ever seen, and those that are gone. */
  private readonly ids = new Set<number>()
  private readonly gone = new Set<number>()
  private readonly killed = new Set<number>()
  private readonly underWay = new Set<Promise<void>>()
  private readonly stopping = new AbortController()
  private failure: unknown
  private joining = 0
  private leaving = 0
  private labels = 0
  private redundantSince = 0
  /** Of those that are done one at a time. */
  private readonly alone = new Set<Act>()
  private breathMs: number

  constructor(frame: HavocFrame) {
    const { plan } = frame
    this.frame = frame
    this.random = new Random(plan.seed ^ 0x5bd1e995)
    this.deaths = new Deaths(plan)
    this.breathMs = plan.breathMs
    this.kills = KILLS.filter((how) => plan.kinds.includes(how))
    const isOn = (kinds: readonly Kind[]): boolean => kinds.some((kind) => plan.kinds.includes(kind))
    this.acts = WEIGHTS.flatMap(([act, weight, kinds]) =>
      isOn(kinds) && this.isPossible(act) ? new Array<Act>(weight).fill(act) : []
    )
    for (const { id } of frame.group.status().components) this.ids.add(id)
  }

  /** Rejects with the first thing that was not as it must be. */
  async run(): Promise<void> {
    const { plan } = this.frame
    const signal = AbortSignal.any([this.stopping.signal, this.frame.signal])
    while (!signal.aborted && this.acts.length > 0) {
      await pause(this.random.below(plan.longestPauseMs + 1), undefined, { signal }).catch(() => {})
      if (this.failure !== undefined) throw this.failure
      if (signal.aborted) break
      this.care()
      this.act(this.random.pick(this.acts))
    }
    await this.settle()
  }

  /** Goes on, but lets writers and sets come to their end: progress is promised between deaths only. */
  calm(): void {
    this.breathMs = CALM_BREATH_MS
  }

  stop(): void {
    this.stopping.abort()
  }

  /** Whether its death is our doing. One that dies by itself is made up for as well, and would go unnoticed. */
  wasKilled(id: number): boolean {
    return this.killed.has(id)
  }

  /** What a run waits for, for messages. */
  get outstanding(): string {
    return `${this.underWay.size} acts of havoc are under way, ${this.joining} joins, ${this.leaving} leaves`
  }

  private async settle(): Promise<void> {
    while (this.underWay.size > 0) {
      this.care()
      await Promise.race([...this.underWay, pause(100)])
    }
    if (this.failure !== undefined) throw this.failure
  }

  private act(act: Act): void {
    switch (act) {
      case 'kill':
        this.follow(this.killOne())
        break
      case 'kill many':
        for (let n = 0; n < this.frame.plan.options.mirrors; n++) this.follow(this.killOne())
        break
      case 'secondary':
        this.followAlone(act, () => this.killSecondary())
        break
      case 'stall':
        this.followAlone(act, () => this.stall())
        break
      case 'spool':
        this.followAlone(act, () => this.killSpool())
        break
      case 'join':
        if (this.joining === 0 && this.size() < MOST_COMPONENTS) this.follow(this.join())
        break
      case 'leave':
        this.follow(this.leave())
        break
      case 'sets':
        this.follow(this.closeSet())
        break
      case 'hold':
        this.follow(this.hold())
        break
      case 'restore':
        this.followAlone(act, () => this.restore())
        break
      case 'look':
        this.look()
        break
    }
  }

  /** In the group of this plan. */
  private isPossible(act: Act): boolean {
    const { plan, copies } = this.frame
    switch (act) {
      case 'secondary':
      case 'stall':
        return plan.secondaryComponents > 0
      case 'spool':
        return plan.spoolLimitBytes !== undefined
      case 'hold':
        return copies !== undefined
      case 'restore':
        return copies !== undefined && plan.keptSets > 0
      default:
        return true
    }
  }

  /** The next one when this one is over. */
  private followAlone(act: Act, begin: () => Promise<void>): void {
    if (this.alone.has(act)) return
    this.alone.add(act)
    this.follow(begin().finally(() => this.alone.delete(act)))
  }

  private follow(call: Promise<void>): void {
    const followed: Promise<void> = call
      .catch((error: unknown) => {
        this.failure ??= error
      })
      .finally(() => this.underWay.delete(followed))
    this.underWay.add(followed)
  }

  /** One at a time: the next one when another thread has gone on with its files. */
  private async killSecondary(): Promise<void> {
    const { group, plan, totals, log } = this.frame
    const index = this.random.below(Math.min(plan.secondaryComponents, plan.options.volumes.length))
    log.note(`kill secondary component ${index}`)
    await failSecondaryComponent(group, index)
    totals.secondaryKills++
    log.note(`secondary component ${index} is back`)
  }

  private async stall(): Promise<void> {
    const { group, totals, log, signal } = this.frame
    const ms = this.random.between(1, LONGEST_STALL_MS)
    log.note(`the secondary stands still for ${ms} ms`)
    using _stall = stallSecondary(group)
    await pause(ms, undefined, { signal }).catch(() => {})
    totals.stalls++
    log.note('the secondary goes on')
  }

  private async killSpool(): Promise<void> {
    const { group, totals, log } = this.frame
    log.note('kill the spool')
    await failSpool(group)
    totals.spoolKills++
    log.note('the spool is back')
  }

  private size(): number {
    return this.frame.group.status().components.filter(({ state }) => state !== 'spare').length
  }

  private async killOne(): Promise<void> {
    const { group, plan, totals, log } = this.frame
    const isOther = this.deaths.areOutstanding
    if (!isOther && performance.now() - this.redundantSince < this.breathMs) return
    const death = this.deaths.draw(group.status(), this.random)
    if (death === undefined) return
    const { id, isAgain } = death
    const how = this.random.pick(this.kills)
    this.ids.add(id)
    if (isAgain) totals.killedAgain++
    else if (isOther) totals.killedTogether++
    log.note(`kill ${id} by ${how}`)
    this.deaths.killed(id)
    this.killed.add(id)
    const report = await kill(group, id, how, plan.options.hangTimeoutMs)
    this.goes(id)
    this.deaths.redundant(id, group.status())
    this.redundantSince = performance.now()
    totals.killed(how, report)
    log.note(`death of ${id} is made up for: ${describeView(report)}`)
  }

  /** An operator who sees to it that a group that has become too small goes on. */
  private care(): void {
    const { group, plan } = this.frame
    if (!plan.kinds.includes('join') || this.joining > 0) return
    if (this.deaths.living(group.status()).length <= plan.options.mirrors) this.follow(this.join())
  }

  private async join(): Promise<void> {
    const { group, totals, log } = this.frame
    log.note('join')
    this.joining++
    this.deaths.joins()
    // It may be seen, and die, before it is told of here.
    const before = new Set(this.ids)
    let id: number | undefined
    try {
      id = await group.addComponent()
      if (!Number.isSafeInteger(id) || before.has(id))
        throw new Violation(`a component that joined got the id ${id} again`)
      this.ids.add(id)
    } catch (error) {
      // The group goes back to its number by itself: it may be as large as its memory allows.
      if (!(error instanceof TidemarkError) || error.code !== 'TIDEMARK_OPTIONS') throw error
      log.note('the group cannot grow')
      return
    } finally {
      this.joining--
      this.deaths.joined(id)
    }
    totals.joins++
    log.note(`component ${id} has joined`)
  }

  /** Only when enough remain whatever dies meanwhile; it may die itself. */
  private async leave(): Promise<void> {
    const { group, plan, totals, log } = this.frame
    const { mirrors } = plan.options
    const living = this.deaths.living(group.status())
    if (this.leaving > 0 || living.length < 2 * mirrors + 2) return
    const id = this.random.pick(living)
    this.ids.add(id)
    log.note(`leave of ${id}`)
    this.leaving++
    try {
      await group.removeComponent(id)
      this.goes(id)
      totals.leaves++
      log.note(`component ${id} has left`)
    } catch (error) {
      const mayBe = error instanceof TidemarkError && GONE_MEANWHILE.includes(error.code)
      if (!mayBe) throw error
      log.note(`component ${id} did not leave: ${error.message}`)
    } finally {
      this.leaving--
    }
  }

  private async closeSet(): Promise<void> {
    const { group, totals, signal } = this.frame
    const label = this.random.chance(2) ? `label-${++this.labels}` : undefined
    const report = await group.closeSet(label === undefined ? { signal } : { label, signal })
    if (report.label !== label && label !== undefined) {
      throw new Violation(`the set closed as '${label}' is called ${JSON.stringify(report)}`)
    }
    totals.setsClosed++
    if (this.random.chance(2)) return
    const applied = await group.whenApplied(report.set, { signal })
    if (applied.set < report.set || (label !== undefined && applied.label !== label)) {
      throw new Violation(`waiting for ${JSON.stringify(report)} to be applied gave ${JSON.stringify(applied)}`)
    }
  }

  private async hold(): Promise<void> {
    const { group, copies, totals, signal } = this.frame
    await copies?.lookHeld(group, this.random, signal)
    totals.copiesChecked++
  }

  private async restore(): Promise<void> {
    const { copies, totals, log, signal } = this.frame
    if ((await copies?.lookRestored(this.random, signal)) !== true) return
    totals.setsRestored++
    log.note('a kept set was restored')
  }

  private look(): void {
    const { group } = this.frame
    const status = group.status()
    const { forming, formed, secured, applied } = status.sets
    if (status.state === 'suspended' || status.state === 'closed') throw new Violation(`the group is ${status.state}`)
    if (!(forming > formed && formed >= secured && secured >= applied)) {
      throw new Violation(`sets are out of order in status(): ${JSON.stringify(status.sets)}`)
    }
    const back = status.components.find(({ id, state }) => state === 'active' && this.gone.has(id))
    if (back !== undefined) throw new Violation(`component ${back.id} was gone and is active again`)
    const { id } = this.random.pick(status.components)
    try {
      const limit = this.random.between(1, 200)
      const held = group.heldUpdates(id, { limit })
      const isOdd = held.some(({ volume, length }) => length < 0 || !status.volumes.some(({ name }) => name === volume))
      if (held.length > limit || isOdd) throw new Violation(`heldUpdates(${id}) is odd: ${JSON.stringify(held)}`)
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === 'TIDEMARK_UNKNOWN_COMPONENT')) throw error
    }
  }

  /** Its id is never seen again. */
  private goes(id: number): void {
    this.gone.add(id)
    this.frame.gauges.markGone(id)
  }
}

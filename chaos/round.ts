import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type BackupGroup, type LocalSecondary, openGroup, type TidemarkError } from '../src/index.ts'
import { Copies } from './copies.ts'
import { EventLog } from './event-log.ts'
import { Gauges } from './gauges.ts'
import { Havoc } from './havoc.ts'
import { describeView } from './kill.ts'
import { Model } from './model.ts'
import type { RoundPlan } from './plan.ts'
import { SetOrder } from './set-order.ts'
import { startWriterThread, type WriterThread } from './thread.ts'
import type { Totals } from './totals.ts'
import { ViewOrder } from './view-order.ts'
import { Violation } from './violation.ts'
import { Watchdog } from './watchdog.ts'
import { runWriter } from './writer.ts'
import type { WriterReport, WriterSetting } from './writer-setting.ts'

/** A group that failed may not end either. */
const LONGEST_END_MS = 5000

const SUSPENSION_HEARD_MS = 200

class Suspended extends Violation {}

/** One group, from its opening until its files have been checked. */
export class Round {
  readonly log = new EventLog()
  private readonly plan: RoundPlan
  private readonly totals: Totals
  private readonly gauges: Gauges
  private readonly sets = new SetOrder()
  private readonly views = new ViewOrder()
  private readonly threads: WriterThread[] = []
  private readonly giveUp = new AbortController()
  private readonly failed: Promise<never>
  private fail: (error: unknown) => void = () => {}
  private group: BackupGroup | undefined
  private havoc: Havoc | undefined
  private copies: Copies | undefined
  private phase = 'opening'

  constructor(plan: RoundPlan, totals: Totals) {
    this.plan = plan
    this.totals = totals
    this.gauges = Gauges.allocate(plan.writers.length)
    this.failed = new Promise((_, reject) => {
      this.fail = (error) => {
        // What suspends a group fails its writers too, some of them before the event that says why is heard.
        if (error instanceof Suspended) reject(error)
        else setTimeout(() => reject(error), SUSPENSION_HEARD_MS)
      }
    })
    // It is looked at in `run`; a round may be over before.
    this.failed.catch(() => {})
  }

  /** Rejects with the first thing that was not as it must be. */
  async run(): Promise<void> {
    const root = await mkdtemp(path.join(tmpdir(), 'tidemark-chaos-'))
    const watchdog = new Watchdog({ progress: () => this.progress(), describe: () => this.describe() })
    try {
      await Promise.race([this.work(root), this.failed, watchdog.barks])
    } finally {
      watchdog.stop()
      this.totals.updates += this.gauges.acknowledged
      this.totals.setsApplied += this.sets.applied
      await this.end()
      await rm(root, { recursive: true, force: true })
    }
  }

  private async work(root: string): Promise<void> {
    const group = await this.open(root)
    const writers = Promise.all(this.plan.writers.map((setting) => this.write(group, setting)))
    // Whoever fails first is the one who is told of.
    writers.catch((error: unknown) => this.fail(error))
    const { plan, gauges, copies, totals, log } = this
    this.havoc = new Havoc({ group, plan, gauges, copies, totals, log, signal: this.giveUp.signal })
    const havoc = this.havoc.run()
    havoc.catch((error: unknown) => this.fail(error))

    this.enter('writing')
    await pause(this.plan.writeMs, undefined, { signal: this.giveUp.signal })
    this.enter('finishing writers')
    this.havoc.calm()
    this.gauges.stop()
    const reports = await writers
    for (const { longestWaitMs } of reports) this.totals.waited(longestWaitMs)
    if (!this.plan.closeDrains) await this.awaitApplied(group)
    this.enter('finishing havoc')
    this.havoc.stop()
    await havoc
    this.enter('closing')
    await group.close()
    this.enter('checking')
    this.checkCounts(reports)
    const model = new Model(
      plan.writers,
      plan.options.volumes.map(({ size }) => size),
      reports
    )
    model.checkPlaces()
    if (copies === undefined) return
    model.checkObservations(copies.observations)
    model.checkFinal(await copies.readFinal(this.gauges.highestSet))
  }

  /** @param root  of whatever it puts on the disk */
  private async open(root: string): Promise<BackupGroup> {
    const { options, spoolLimitBytes } = this.plan
    const secondary = this.secondaryIn(path.join(root, 'secondary'))
    if (secondary !== 'discard') this.copies = new Copies(secondary.directory, path.join(root, 'copy'), this.plan)
    const spool = spoolLimitBytes !== undefined && { spoolDirectory: path.join(root, 'spool'), spoolLimitBytes }
    const group = await openGroup({ ...options, secondary, ...spool })
    this.group = group
    group.on('set', (report) => this.check(() => this.sets.hear(report)))
    group.on('view', (report) => {
      this.log.note(describeView(report))
      this.check(() => this.views.hear(report))
      if (report.reason !== 'failed' || this.havoc?.wasKilled(report.component) === true) return
      this.fail(new Violation(`component ${report.component} died by itself: ${describeView(report)}`))
    })
    group.on('suspended', (cause) => this.fail(new Suspended(`the group was suspended: ${describe(cause)}`, { cause })))
    group.on('warning', (error) => this.log.note(`warning: ${error.message}`))
    group.on('pressure', ({ step, state }) => {
      this.log.note(`pressure: ${step} ${state}`)
      if (state === 'begin') this.totals.pressures++
    })
    return group
  }

  private secondaryIn(directory: string): LocalSecondary | 'discard' {
    const { secondaryComponents, confirm, keptSets } = this.plan
    if (secondaryComponents === 0) return 'discard'
    const history = { sets: keptSets }
    return { directory, components: secondaryComponents, confirm, ...(keptSets > 0 && { history }) }
  }

  private async write(group: BackupGroup, setting: WriterSetting): Promise<WriterReport> {
    const { name, inThread, component, ringBytes } = setting
    const options = component === undefined ? { ringBytes } : { ringBytes, component }
    if (!inThread) {
      const source = group.openSource(name, options)
      return runWriter(source, setting, this.gauges, () => group.openSource(name, { ringBytes }))
    }
    const { threadsClose } = this.plan
    const port = group.exportSource(name, options)
    const thread = startWriterThread({ port, setting, gauges: this.gauges.buffer, closes: threadsClose })
    this.threads.push(thread)
    const report = await thread.report
    if (!threadsClose) await group.closeSource(name)
    return report
  }

  private async awaitApplied(group: BackupGroup): Promise<void> {
    this.enter('waiting for the last set to be applied')
    const { set, state } = await group.whenApplied()
    const highest = this.gauges.highestSet
    if (state === 'applied' && set >= highest) return
    throw new Violation(`whenApplied() gave set ${set} (${state}), an update was acknowledged in set ${highest}`)
  }

  /** What writers posted is what sets have: no update twice, none left out. */
  private checkCounts(reports: readonly WriterReport[]): void {
    const posted = reports.reduce((sum, { updates }) => sum + updates, 0)
    const large = reports.reduce((sum, { largeUpdates }) => sum + largeUpdates, 0)
    const inSets = this.sets.updates
    // A large update may count as several.
    if (inSets === posted || (large > 0 && inSets > posted)) return
    throw new Violation(`writers posted ${posted} updates, ${large} of them large; all sets together have ${inSets}`)
  }

  private check(what: () => void): void {
    try {
      what()
    } catch (error) {
      this.fail(error)
    }
  }

  private enter(phase: string): void {
    this.phase = phase
    this.log.note(phase)
  }

  private progress(): number {
    const { acknowledged } = this.gauges
    // While writers write, only what is acknowledged to them is progress.
    return this.phase === 'writing' ? acknowledged : acknowledged + this.sets.applied
  }

  private describe(): string {
    const status = this.group?.status()
    return `${this.phase}; ${this.havoc?.outstanding ?? 'no havoc yet'}; status ${JSON.stringify(status)}`
  }

  private async end(): Promise<void> {
    this.giveUp.abort()
    this.gauges.stop()
    this.totals.views += Math.max(0, (this.group?.status().view ?? 1) - 1)
    this.totals.takenForHung += this.views.hung
    // A group that is closed already says so at once.
    const closed = this.group?.close({ drain: false })
    await Promise.race([closed, pause(LONGEST_END_MS, undefined, { ref: false })])
    await Promise.all(this.threads.map((thread) => thread.end()))
  }
}

function describe({ code, message, details }: TidemarkError): string {
  return `${code}: ${message} ${JSON.stringify(details)}`
}

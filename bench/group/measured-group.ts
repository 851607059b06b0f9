import { type BackupGroup, type GroupOptions, openGroup, type SetReport, type SourcePort } from '../../src/index.ts'
import { Board } from '../../src/memory/board.ts'
import { openPort } from '../../src/source-port.ts'
import { BenchThread } from '../bench-thread.ts'
import { type Check, notHung } from '../checks.ts'
import { EarlySets } from '../early-sets.ts'
import type { Latency } from '../latency.ts'
import type { Contestant } from '../measure.ts'
import { VOLUME_BYTES } from '../places.ts'
import { elapsedMs, type PostRequest, type PostResult } from '../posting.ts'
import { size } from '../table.ts'

export interface GroupSetting {
  readonly lengthBytes: number
  readonly components: number
  readonly sources: number
  readonly mirrors: number
  readonly volumes: number
  readonly periodMs: number
  readonly ordering: NonNullable<GroupOptions['ordering']>
  /** The part of all updates that is taken by the component that is responsible for them; undefined: as it comes. */
  readonly ownShare: number | undefined
}

export const USUAL: GroupSetting = {
  lengthBytes: 64,
  components: 4,
  sources: 2,
  mirrors: 1,
  volumes: 16,
  periodMs: 100,
  ordering: 'volume-sequence',
  ownShare: undefined
}

export interface SourceThreadData {
  readonly port: SourcePort
  readonly volumes: readonly string[]
  readonly lengthBytes: number
  readonly ownShare: number | undefined
}

export type SourceRequest = PostRequest | { readonly type: 'write-awaited' | 'write-flushed'; readonly forMs: number }

export interface SourceResult extends PostResult {
  readonly latency?: Latency
}

/** A group with its source threads; counts what was posted and what its sets say. */
export class MeasuredGroup implements Contestant {
  readonly name: string
  readonly group: BackupGroup
  /** As its threads see it. */
  readonly board: Board
  private readonly sources: BenchThread<SourceRequest, SourceResult>[]
  private readonly posted: number[] = []
  private readonly setting: GroupSetting
  /** Over all sets that were applied. */
  private updates = 0
  private bytes = 0
  sets = 0
  private readonly early: EarlySets

  static async open(setting: GroupSetting, name = `group of ${setting.components}`): Promise<MeasuredGroup> {
    const { components, mirrors, periodMs, ordering } = setting
    const volumes = Array.from({ length: setting.volumes }, (_, n) => ({ name: `volume-${n}`, size: VOLUME_BYTES }))
    const opening = openGroup({
      volumes,
      components,
      mirrors,
      ordering,
      formationPeriodMs: periodMs,
      secondary: 'discard'
    })
    return new MeasuredGroup(await notHung('opening the group', opening), setting, name)
  }

  private constructor(group: BackupGroup, setting: GroupSetting, name: string) {
    this.name = name
    this.group = group
    this.setting = setting
    group.on('set', (report) => this.count(report))
    this.early = new EarlySets(group, setting.periodMs)
    const { lengthBytes, ownShare } = setting
    const ports = Array.from({ length: setting.sources }, (_, n) => group.exportSource(`source-${n}`))
    const { facts } = openPort(ports[0] as SourcePort)
    this.board = new Board(facts.board, facts.boardLayout)
    const volumes = facts.volumes.map(({ name }) => name)
    this.sources = ports.map((port) => {
      const data: SourceThreadData = { port, volumes, lengthBytes, ownShare }
      return new BenchThread('group-source', data)
    })
  }

  /** All sources post their share at once; the time is from the first update posted to the last one acknowledged. */
  async run(count: number): Promise<number> {
    return elapsedMs(await this.askAll({ type: 'post', count: Math.ceil(count / this.sources.length) }))
  }

  /** @param perSecond  of all sources together */
  async pace(perSecond: number, forMs: number): Promise<void> {
    await this.askAll({ type: 'paced', perSecond: perSecond / this.sources.length, forMs })
  }

  async latency(type: 'write-awaited' | 'write-flushed', forMs: number): Promise<Latency> {
    const { latency } = await this.ask(0, { type, forMs })
    if (latency === undefined) throw new Error('the source measured no latency')
    return latency
  }

  /** Waits until everything is applied, then compares. */
  async check(): Promise<Check[]> {
    const { set } = await this.watched('closing the last set', this.group.closeSet())
    await this.watched('applying the last set', this.group.whenApplied(set))
    const posted = this.posted.reduce((sum, count) => sum + count, 0)
    const { lengthBytes } = this.setting
    const what = `${this.name}, ${size(lengthBytes)}`
    return [
      { name: `${what}: updates in applied sets`, expected: posted, found: this.updates },
      { name: `${what}: bytes in applied sets`, expected: posted * lengthBytes, found: this.bytes }
    ]
  }

  async close(): Promise<void> {
    await this.watched('closing the group', this.group.close())
    await Promise.all(this.sources.map((source) => source.close()))
  }

  private askAll(request: SourceRequest): Promise<SourceResult[]> {
    return Promise.all(this.sources.map((_, source) => this.ask(source, request)))
  }

  private async ask(source: number, request: SourceRequest): Promise<SourceResult> {
    const asked = (this.sources[source] as BenchThread<SourceRequest, SourceResult>).ask(request)
    const result = await this.watched(`source ${source}: ${request.type}`, asked)
    this.posted[source] = result.posted
    return result
  }

  private watched<T>(what: string, promise: Promise<T>): Promise<T> {
    return notHung(`${this.name}: ${what}`, promise, () => this.group.status())
  }

  get setsClosedEarly(): number {
    return this.early.count
  }

  private count(report: SetReport): void {
    if (report.state !== 'applied') return
    this.sets++
    this.updates += report.updates
    this.bytes += report.bytes
  }
}

/**
 * A whole group: updates are posted on two threads, taken, sequenced, held by two components, acknowledged, made into sets.
 */
import { type BackupGroup, openGroup, type SetReport, type SourcePort } from '../src/index.ts'
import { BenchThread } from './bench-thread.ts'
import { type Check, notHung } from './checks.ts'
import type { Latency } from './latency.ts'
import { type Contestant, measureRates, type Pace, type Rate } from './measure.ts'
import { openMessages } from './message-channel.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { bytesPerSecond, cores, microseconds, nanoseconds, perSecond, size, spread, table } from './table.ts'

const TOPOLOGY = `
      source 0 (thread) --ring--> component 0 (thread) <--links--> component 1 .. C-1 (threads)
      source 1 (thread) --ring--> component 1 (thread) <--links-->      |
                                                                        v
      16 volumes in turn, one mirror ('spread')           a set each 100 ms, dropped ('discard')

      postMessage: { volume, offset, data } a message, one thread to another, in turns with the group

  Every update is held by two components and acknowledged to its source before it counts.
`

export interface SourceThreadData {
  readonly port: SourcePort
  readonly volumes: readonly string[]
  readonly lengthBytes: number
}

export type SourceRequest =
  | { readonly type: 'post'; readonly count: number }
  | { readonly type: 'write-awaited' | 'write-flushed'; readonly forMs: number }

export interface SourceResult {
  /** Microseconds by the clock that all threads share. */
  readonly beganAt: number
  readonly endedAt: number
  /** Updates since the thread began. */
  readonly posted: number
  readonly latency?: Latency
}

export interface GroupResult {
  readonly lengthBytes: number
  readonly components: number
  readonly rate: Rate
  readonly postMessage: Rate
  /** Of the group's own histogram, at full load: sources are always as far ahead as their rings allow. */
  readonly loaded: Omit<Latency, 'p999'>
  /** One write at a time: `await write(..)`, and `postSync` with `flushSync` after it. */
  readonly awaited: Latency
  readonly flushed: Latency
  readonly sets: number
  readonly setsClosedEarly: number
}

const SOURCES = 2
const VOLUMES = Array.from({ length: 16 }, (_, n) => `volume-${n}`)
const VOLUME_BYTES = 64 * 2 ** 20
const PERIOD_MS = 100
/** What the project wants of one configuration. */
const WANTED = { lengthBytes: 64, components: 4, ratio: 8 }

/** A group with its two source threads; counts what was posted and what its sets say. */
class MeasuredGroup implements Contestant {
  readonly name: string
  readonly group: BackupGroup
  private readonly sources: BenchThread<SourceRequest, SourceResult>[]
  private readonly posted: number[] = []
  private readonly lengthBytes: number
  /** Over all sets that were applied. */
  private updates = 0
  private bytes = 0
  sets = 0
  setsClosedEarly = 0

  static async open(components: number, lengthBytes: number): Promise<MeasuredGroup> {
    const volumes = VOLUMES.map((name) => ({ name, size: VOLUME_BYTES }))
    const opening = openGroup({ volumes, components, formationPeriodMs: PERIOD_MS, secondary: 'discard' })
    return new MeasuredGroup(await notHung('opening the group', opening), components, lengthBytes)
  }

  private constructor(group: BackupGroup, components: number, lengthBytes: number) {
    this.name = `group of ${components}`
    this.group = group
    this.lengthBytes = lengthBytes
    group.on('set', (report) => this.count(report))
    group.on('pressure', ({ state }) => {
      if (state === 'begin') this.setsClosedEarly++
    })
    this.sources = Array.from({ length: SOURCES }, (_, n) => {
      const data: SourceThreadData = { port: group.exportSource(`source-${n}`), volumes: VOLUMES, lengthBytes }
      return new BenchThread('group-source', data)
    })
  }

  /** Both sources post their share at once; the time is from the first update posted to the last one acknowledged. */
  async run(count: number): Promise<number> {
    const share = Math.ceil(count / SOURCES)
    const results = await Promise.all(this.sources.map((_, source) => this.ask(source, { type: 'post', count: share })))
    return (Math.max(...results.map((result) => result.endedAt)) - Math.min(...results.map((r) => r.beganAt))) / 1000
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
    const what = `${this.name}, ${this.lengthBytes} B`
    return [
      { name: `${what}: updates in applied sets`, expected: posted, found: this.updates },
      { name: `${what}: bytes in applied sets`, expected: posted * this.lengthBytes, found: this.bytes }
    ]
  }

  async close(): Promise<void> {
    await this.watched('closing the group', this.group.close())
    await Promise.all(this.sources.map((source) => source.close()))
  }

  private async ask(source: number, request: SourceRequest): Promise<SourceResult> {
    const asked = (this.sources[source] as BenchThread<SourceRequest, SourceResult>).ask(request)
    const result = await this.watched(`source ${source}: ${request.type}`, asked)
    this.posted[source] = result.posted
    return result
  }

  private watched<T>(what: string, promise: Promise<T>): Promise<T> {
    return notHung(`${this.name}, ${this.lengthBytes} B: ${what}`, promise, () => this.group.status())
  }

  private count(report: SetReport): void {
    if (report.state !== 'applied') return
    this.sets++
    this.updates += report.updates
    this.bytes += report.bytes
  }
}

export const GROUP: Suite<GroupResult[]> = {
  name: 'group',
  about: 'a whole group with two sources on threads of their own, beside postMessage',
  topology: TOPOLOGY,
  run: benchGroup,
  disturbances: (results) => results.map(({ rate }) => rate),
  verdicts
}

function verdicts(results: readonly GroupResult[]): Verdict[] {
  const { lengthBytes, components, ratio } = WANTED
  const found = results.find((result) => result.lengthBytes === lengthBytes && result.components === components)
  if (found === undefined) return []
  const what = `${size(lengthBytes)}, ${components} components, times postMessage`
  return [{ what, found: found.rate.ratio.toFixed(1), wanted: `at least ${ratio}`, isMet: found.rate.ratio >= ratio }]
}

async function benchGroup({
  sizes,
  components: componentCounts,
  pace,
  print
}: SuiteSettings): Promise<{ result: GroupResult[]; checks: Check[] }> {
  const result: GroupResult[] = []
  const checks: Check[] = []
  for (const lengthBytes of sizes) {
    for (const components of componentCounts) {
      const measured = await measureGroup(lengthBytes, components, pace)
      result.push(measured.result)
      checks.push(...measured.checks)
    }
  }
  print(table(RATE_HEAD, result.map(describeRate), 2))
  print(
    '\n  Acknowledge latency. At full load: as the group tells it, rings always full. Else one write at a time.\n\n'
  )
  print(table(LATENCY_HEAD, result.flatMap(describeLatencies), 3))
  return { result, checks }
}

async function measureGroup(
  lengthBytes: number,
  components: number,
  pace: Pace
): Promise<{ result: GroupResult; checks: Check[] }> {
  const group = await MeasuredGroup.open(components, lengthBytes)
  const messages = openMessages(lengthBytes)
  const [rate, postMessage] = (await measureRates([group, messages], pace)) as [Rate, Rate]
  const loaded = group.group.status().latency.acknowledge
  const awaited = await group.latency('write-awaited', pace.latencyMs)
  const flushed = await group.latency('write-flushed', pace.latencyMs)
  const checks = [...(await group.check()), ...messages.check()]
  await Promise.all([group.close(), messages.close()])
  const { sets, setsClosedEarly } = group
  const result = { lengthBytes, components, rate, postMessage, loaded, awaited, flushed, sets, setsClosedEarly }
  return { result, checks }
}

const RATE_HEAD = [
  'update',
  'components',
  'updates/s',
  'lowest .. highest',
  'bytes/s',
  'cpu/update',
  'cores own + other',
  'postMessage',
  'times postMessage',
  'early sets'
]

function describeRate(result: GroupResult): string[] {
  const { lengthBytes, components, rate, postMessage, setsClosedEarly, sets } = result
  return [
    size(lengthBytes),
    String(components),
    perSecond(rate.median),
    spread(rate),
    bytesPerSecond(rate.median * lengthBytes),
    nanoseconds(rate.cpuNs),
    cores(rate),
    perSecond(postMessage.median),
    rate.ratio.toFixed(1),
    `${setsClosedEarly} of ${sets}`
  ]
}

const LATENCY_HEAD = ['update', 'components', 'writes', 'p50', 'p90', 'p99', 'p99.9', 'max', 'count']

function describeLatencies({ lengthBytes, components, loaded, awaited, flushed }: GroupResult): string[][] {
  const row = (writes: string, latency: Omit<Latency, 'p999'> & { p999?: number }): string[] => [
    size(lengthBytes),
    String(components),
    writes,
    microseconds(latency.p50),
    microseconds(latency.p90),
    microseconds(latency.p99),
    latency.p999 === undefined ? '' : microseconds(latency.p999),
    microseconds(latency.max),
    String(latency.count)
  ]
  return [row('at full load', loaded), row('await write', awaited), row('postSync, flushSync', flushed)]
}

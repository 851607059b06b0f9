/**
 * A whole group: updates are posted on two threads, taken, sequenced, held by two components, acknowledged, made into sets.
 */
import { BarePath } from './bare/path.ts'
import type { Check } from './checks.ts'
import { copyRate } from './copy-rate.ts'
import { MeasuredGroup, USUAL } from './group/measured-group.ts'
import type { Latency } from './latency.ts'
import { measureRates, type Pace, type Rate, ratioOf } from './measure.ts'
import { openMessages } from './message-channel.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { microseconds, perSecond, RATE_CELLS, rateCells, size, table } from './table.ts'

const TOPOLOGY = `
      source 0 (thread) --ring--> component 0 (thread) <--links--> component 1 .. C-1 (threads)
      source 1 (thread) --ring--> component 1 (thread) <--links-->      |
                                                                        v
      16 volumes in turn, one mirror ('spread')           a set each 100 ms, dropped ('discard')

      bare path: the same hops, copies and wake-ups on as many threads, nothing else (bench/bare)
      postMessage: { volume, offset, data } a message, one thread to another, in turns with the group

  Every update is held by two components and acknowledged to its source before it counts.
`

export interface GroupResult {
  readonly lengthBytes: number
  readonly components: number
  readonly rate: Rate
  readonly bare: Rate
  /** Median over the rounds of the rate by the bare path's in the same round. */
  readonly timesBare: number
  /** What one thread copies of payloads of that size from shared buffer to shared buffer, bytes a second. */
  readonly copyRate: number
  readonly postMessage: Rate
  /** Of the group's own histogram, at full load: sources are always as far ahead as their rings allow. */
  readonly loaded: Omit<Latency, 'p999'>
  /** One write at a time: `await write(..)`, and `postSync` with `flushSync` after it. */
  readonly awaited: Latency
  readonly flushed: Latency
  readonly sets: number
  readonly setsClosedEarly: number
}

/** What the project wants of these configurations. */
const WANTED: readonly {
  lengthBytes: number
  components: number
  times: 'postMessage' | 'bare path' | 'copies of one thread'
  ratio: number
}[] = [
  { lengthBytes: 64, components: 4, times: 'postMessage', ratio: 15 },
  { lengthBytes: 64, components: 4, times: 'bare path', ratio: 0.8 },
  { lengthBytes: 4096, components: 4, times: 'bare path', ratio: 0.8 },
  // Each update is copied three times.
  { lengthBytes: 4096, components: 4, times: 'copies of one thread', ratio: 0.2 }
]

export const GROUP: Suite<GroupResult[]> = {
  name: 'group',
  about: 'a whole group with two sources on threads of their own, beside postMessage',
  topology: TOPOLOGY,
  run: benchGroup,
  disturbances: (results) => results.map(({ rate }) => rate),
  verdicts
}

function verdicts(results: readonly GroupResult[]): Verdict[] {
  return WANTED.flatMap(({ lengthBytes, components, times, ratio }) => {
    const result = results.find((one) => one.lengthBytes === lengthBytes && one.components === components)
    if (result === undefined) return []
    const found = ratiosOf(result)[times]
    const what = `${size(lengthBytes)}, ${components} components, times ${times}`
    return [{ what, found: found.toFixed(3), wanted: `at least ${ratio}`, isMet: found >= ratio }]
  })
}

function ratiosOf({
  rate,
  timesBare,
  copyRate,
  lengthBytes
}: GroupResult): Record<(typeof WANTED)[number]['times'], number> {
  const copies = (rate.median * lengthBytes) / copyRate
  return { postMessage: rate.ratio, 'bare path': timesBare, 'copies of one thread': copies }
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
  const setting = { ...USUAL, lengthBytes, components }
  const group = await MeasuredGroup.open(setting)
  const bare = new BarePath(components, setting.sources, setting.volumes, lengthBytes)
  const messages = openMessages(lengthBytes)
  const measured = await measureRates([group, bare, messages], pace)
  const [rate, bareRate, postMessage] = measured as [Rate, Rate, Rate]
  const loaded = group.group.status().latency.acknowledge
  const awaited = await group.latency('write-awaited', pace.latencyMs)
  const flushed = await group.latency('write-flushed', pace.latencyMs)
  const checks = [...(await group.check()), ...(await bare.close()), ...messages.check()]
  await Promise.all([group.close(), messages.close()])
  const { sets, setsClosedEarly } = group
  const timesBare = ratioOf(rate, bareRate)
  const rates = { rate, bare: bareRate, timesBare, copyRate: copyRate(lengthBytes, pace.sampleMs), postMessage }
  const result = { lengthBytes, components, ...rates, loaded, awaited, flushed, sets, setsClosedEarly }
  return { result, checks }
}

export const RATE_HEAD = [
  'update',
  'components',
  ...RATE_CELLS,
  'bare path',
  'times bare path',
  'times copies',
  'postMessage',
  'times postMessage',
  'early sets'
]

export function describeRate(result: GroupResult): string[] {
  const { lengthBytes, components, rate, bare, timesBare, postMessage, setsClosedEarly, sets } = result
  const { 'copies of one thread': copies } = ratiosOf(result)
  return [
    size(lengthBytes),
    String(components),
    ...rateCells(lengthBytes, rate),
    perSecond(bare.median),
    timesBare.toFixed(2),
    copies.toFixed(2),
    perSecond(postMessage.median),
    rate.ratio.toFixed(1),
    `${setsClosedEarly} of ${sets}`
  ]
}

export const LATENCY_HEAD = ['update', 'components', 'writes', 'p50', 'p90', 'p99', 'p99.9', 'max', 'count']

export function describeLatencies({ lengthBytes, components, loaded, awaited, flushed }: GroupResult): string[][] {
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

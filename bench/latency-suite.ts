/** How long an update takes to be acknowledged at rates that can be sustained, beside the bare path at the same rate. */
import { BarePath } from './bare/path.ts'
import type { Check } from './checks.ts'
import { MeasuredGroup, USUAL } from './group/measured-group.ts'
import { type Latency, LatencyHistogram } from './latency.ts'
import { measureRates, median, type Rate } from './measure.ts'
import { SampleReader } from './samples.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { microseconds, perSecond, size, table } from './table.ts'

const TOPOLOGY = `
      source 0, 1 (threads): so many updates a second, in bursts of 0.2 ms, asleep in between
      --ring--> component 0 .. 3 (threads) <--links--> each other;  16 volumes, one mirror, a set each 100 ms

      bare path: the same on as many threads, nothing else (bench/bare)

  Acknowledge latency: from put to the moment at which the source's position moves on, of one update in 64. All take turns.
  'times': tidemark's by those of that row, median over the rounds.
`

/** Of the group's highest rate in this run. */
const PARTS = [0.1, 0.8]
const COMPONENTS = 4
/** What the project wants: of p50 and p99, at most so many times the bare path's. */
const WANTED = 1.5

export interface LatencyResult {
  readonly lengthBytes: number
  readonly highestRate: number
  readonly part: number
  readonly group: Latency
  /** At the same rate; and at the same part of its own highest rate. */
  readonly bare: Latency
  readonly bareOwn: Latency
  /** Medians over the rounds of the group's by the bare path's. */
  readonly ratio: { readonly p50: number; readonly p99: number }
  readonly ratioOwn: { readonly p50: number; readonly p99: number }
}

export const LATENCY: Suite<LatencyResult[]> = {
  name: 'latency',
  about: 'acknowledge latency at a tenth and at 80 % of the highest rate, beside the bare path',
  topology: TOPOLOGY,
  run: benchLatency,
  disturbances: () => [],
  verdicts: (results) => results.flatMap(verdictsOf)
}

async function benchLatency({
  sizes,
  pace,
  print
}: SuiteSettings): Promise<{ result: LatencyResult[]; checks: Check[] }> {
  const result: LatencyResult[] = []
  const checks: Check[] = []
  for (const lengthBytes of sizes) {
    const setting = { ...USUAL, lengthBytes, components: COMPONENTS }
    const group = await MeasuredGroup.open(setting)
    const bare = new BarePath(COMPONENTS, setting.sources, setting.volumes, lengthBytes)
    const [rate, bareRate] = (await measureRates([group, bare], { ...pace, samples: 1 })) as [Rate, Rate]
    for (const part of PARTS) {
      const turns = [
        { contestant: group, rate: rate.median * part },
        { contestant: bare, rate: rate.median * part },
        { contestant: bare, rate: bareRate.median * part }
      ]
      const paced = await alternate(turns, pace.rounds, pace.latencyMs)
      const [ofGroup, ofBare, ofBareOwn] = paced as [Rounds, Rounds, Rounds]
      result.push({
        lengthBytes,
        highestRate: rate.median,
        part,
        group: ofGroup.all,
        bare: ofBare.all,
        bareOwn: ofBareOwn.all,
        ratio: ratios(ofGroup, ofBare),
        ratioOwn: ratios(ofGroup, ofBareOwn)
      })
    }
    checks.push(...(await group.check()), ...(await bare.close()))
    await group.close()
  }
  print(table(PACED_HEAD, result.flatMap(describePaced), 3))
  return { result, checks }
}

interface Rounds {
  readonly all: Latency
  readonly rounds: Latency[]
}

interface Turn {
  readonly contestant: MeasuredGroup | BarePath
  readonly rate: number
}

function ratios(group: Rounds, bare: Rounds): { p50: number; p99: number } {
  const of = (percentile: 'p50' | 'p99'): number =>
    median(group.rounds.map((round, n) => round[percentile] / (bare.rounds[n] as Latency)[percentile]))
  return { p50: of('p50'), p99: of('p99') }
}

/** Each round all run at their rates, one after the other; once before that is not counted. */
async function alternate(turns: readonly Turn[], rounds: number, forMs: number): Promise<Rounds[]> {
  const all = turns.map(() => new LatencyHistogram())
  const each = turns.map((): Latency[] => [])
  for (const { contestant, rate } of turns) await contestant.pace(rate, forMs)
  for (let round = 0; round < rounds; round++) {
    for (const [n, { contestant, rate }] of turns.entries()) {
      const histogram = new LatencyHistogram()
      const reader = new SampleReader(contestant.board, (ms) => {
        histogram.record(ms)
        ;(all[n] as LatencyHistogram).record(ms)
      })
      await contestant.pace(rate, forMs)
      reader.close()
      ;(each[n] as Latency[]).push(histogram.read())
    }
  }
  return turns.map((_, n) => ({ all: (all[n] as LatencyHistogram).read(), rounds: each[n] as Latency[] }))
}

function verdictsOf({ lengthBytes, part, ratio, ratioOwn }: LatencyResult): Verdict[] {
  const verdict = (percentile: 'p50' | 'p99', of: string, ratios: LatencyResult['ratio']): Verdict => ({
    what: `${size(lengthBytes)} at ${part * 100} %, ${percentile} by the bare path's at ${of}`,
    found: ratios[percentile].toFixed(2),
    wanted: `at most ${WANTED}`,
    isMet: ratios[percentile] <= WANTED
  })
  return (['p50', 'p99'] as const).flatMap((percentile) => [
    verdict(percentile, 'the same rate', ratio),
    verdict(percentile, `${part * 100} % of its own`, ratioOwn)
  ])
}

export const PACED_HEAD = [
  'update',
  'rate',
  'way',
  'p50',
  'p90',
  'p99',
  'p99.9',
  'max',
  'count',
  'times p50',
  'times p99'
]

export function describePaced(result: LatencyResult): string[][] {
  const { lengthBytes, highestRate, part, group, bare, bareOwn, ratio, ratioOwn } = result
  const row = (way: string, latency: Latency, by?: LatencyResult['ratio']): string[] => [
    size(lengthBytes),
    `${part * 100} % (${perSecond(highestRate * part)})`,
    way,
    ...[latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(microseconds),
    String(latency.count),
    by?.p50.toFixed(2) ?? '',
    by?.p99.toFixed(2) ?? ''
  ]
  const own = `bare path at ${part * 100} % of its own`
  return [row('tidemark', group), row('bare path', bare, ratio), row(own, bareOwn, ratioOwn)]
}

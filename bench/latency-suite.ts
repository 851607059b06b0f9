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

  Acknowledge latency: from put to the moment at which the source's position moves on, of one update in 64. Both take turns.
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
  readonly bare: Latency
  /** Medians over the rounds of the group's by the bare path's. */
  readonly ratio: { readonly p50: number; readonly p99: number }
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
    const [rate] = (await measureRates([group, bare], { ...pace, samples: 1 })) as [Rate, Rate]
    for (const part of PARTS) {
      const paced = await alternate([group, bare], rate.median * part, pace.rounds, pace.latencyMs)
      const [ofGroup, ofBare] = paced as [Rounds, Rounds]
      const ratioOf = (percentile: 'p50' | 'p99'): number =>
        median(ofGroup.rounds.map((round, n) => round[percentile] / (ofBare.rounds[n] as Latency)[percentile]))
      result.push({
        lengthBytes,
        highestRate: rate.median,
        part,
        group: ofGroup.all,
        bare: ofBare.all,
        ratio: { p50: ratioOf('p50'), p99: ratioOf('p99') }
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

/** Each round both run at the rate, one after the other. */
async function alternate(
  contestants: readonly (MeasuredGroup | BarePath)[],
  rate: number,
  rounds: number,
  forMs: number
): Promise<Rounds[]> {
  const all = contestants.map(() => new LatencyHistogram())
  const each = contestants.map((): Latency[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [n, contestant] of contestants.entries()) {
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
  return contestants.map((_, n) => ({ all: (all[n] as LatencyHistogram).read(), rounds: each[n] as Latency[] }))
}

function verdictsOf({ lengthBytes, part, ratio }: LatencyResult): Verdict[] {
  return (['p50', 'p99'] as const).map((percentile) => ({
    what: `${size(lengthBytes)} at ${part * 100} %, ${percentile} by the bare path's`,
    found: ratio[percentile].toFixed(2),
    wanted: `at most ${WANTED}`,
    isMet: ratio[percentile] <= WANTED
  }))
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
  'p50 by bare',
  'p99 by bare'
]

export function describePaced({ lengthBytes, highestRate, part, group, bare, ratio }: LatencyResult): string[][] {
  const row = (way: string, latency: Latency, ratios: string[]): string[] => [
    size(lengthBytes),
    `${part * 100} % (${perSecond(highestRate * part)})`,
    way,
    ...[latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(microseconds),
    String(latency.count),
    ...ratios
  ]
  return [row('tidemark', group, [ratio.p50.toFixed(2), ratio.p99.toFixed(2)]), row('bare path', bare, ['', ''])]
}

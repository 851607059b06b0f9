import { Bench } from 'tinybench'
import { notHung } from './checks.ts'
import { Usage } from './usage.ts'

/** Something whose rate is measured. */
export interface Contestant {
  readonly name: string
  /** Passes so many updates through. Returns the milliseconds from the first posted to the last that arrived. */
  run(count: number): Promise<number>
}

/** How long to measure. */
export interface Pace {
  /** Contestants take turns so many times, so that a change of the machine's mood meets all of them. */
  readonly rounds: number
  /** Samples of each contestant a round. */
  readonly samples: number
  readonly sampleMs: number
  /** Each contestant runs at least so long before it is measured: code is compiled, memory touched for the first time. */
  readonly warmUpMs: number
  readonly latencyMs: number
}

export const FULL: Pace = { rounds: 5, samples: 3, sampleMs: 300, warmUpMs: 1500, latencyMs: 1000 }
export const QUICK: Pace = { rounds: 3, samples: 1, sampleMs: 80, warmUpMs: 300, latencyMs: 150 }

export interface Rate {
  readonly name: string
  /** Updates a second: the median of all samples, the lowest, the highest. */
  readonly median: number
  readonly lowest: number
  readonly highest: number
  readonly samples: number
  /** Updates in one sample. */
  readonly batch: number
  /** Its median rate in each round. */
  readonly rounds: readonly number[]
  /** By the last contestant: see `ratioOf`. */
  readonly ratio: number
  /** Processor time of the whole process for one update, in nanoseconds: less shaken by other programs than the rate. */
  readonly cpuNs: number
  /** How often a thread of the process went to sleep, for 1000 updates. */
  readonly sleeps: number
  /** Pages of memory touched for the first time, for 1000 updates: near 0 once everything is warm. */
  readonly pageFaults: number
  /** Processor cores that it kept busy while it was measured, and those that other programs did. */
  readonly ownCores: number
  readonly otherCores: number
}

/** Median over the rounds of one's rate by the other's in the same round. */
export function ratioOf(one: Rate, other: Rate): number {
  return median(one.rounds.map((rate, round) => rate / (other.rounds[round] as number)))
}

/** Rates of all contestants, measured in turns. The last is what the others are compared with. */
export async function measureRates(contestants: readonly Contestant[], pace: Pace): Promise<Rate[]> {
  const batches: number[] = []
  for (const contestant of contestants) batches.push(await warmUp(contestant, pace))
  const usages = contestants.map(() => new Usage())
  const bench = new Bench({ iterations: pace.samples, time: 0, warmup: false, retainSamples: true, throws: true })
  for (let round = 0; round < pace.rounds; round++) {
    // Every other round the other way round: none is always the one after a pause.
    const turns = [...contestants.keys()]
    for (const n of round % 2 === 0 ? turns : turns.reverse()) {
      const contestant = contestants[n] as Contestant
      const usage = usages[n] as Usage
      const sample = async () => ({ overriddenDuration: await usage.sample(contestant, batches[n] as number) })
      bench.add(taskName(contestant, round), sample, { async: true })
    }
  }
  await notHung(`measuring ${contestants.map(({ name }) => name).join(', ')}`, bench.run())
  const rounds = contestants.map((contestant, n) =>
    Array.from({ length: pace.rounds }, (_, round) => rateOf(bench, taskName(contestant, round), batches[n] as number))
  )
  const base = rounds.at(-1) as RoundRate[]
  return contestants.map(({ name }, n) => {
    const own = rounds[n] as RoundRate[]
    const samples = own.flatMap((round) => round.samples)
    return {
      name,
      median: median(samples),
      lowest: Math.min(...samples),
      highest: Math.max(...samples),
      samples: samples.length,
      batch: batches[n] as number,
      rounds: own.map((round) => round.median),
      ratio: median(own.map((round, at) => round.median / (base[at] as RoundRate).median)),
      ...(usages[n] as Usage).read()
    }
  })
}

/**
 * Runs it until its code is compiled and its memory touched. Returns how many updates make a sample.
 * Sizes are taken from the last run: the first ones are slow.
 */
async function warmUp(contestant: Contestant, { sampleMs, warmUpMs }: Pace): Promise<number> {
  let count = 2000
  let warmMs = 0
  for (;;) {
    const ms = await notHung(`warming up ${contestant.name}`, contestant.run(count))
    warmMs += ms
    const fitting = Math.max(1000, Math.round((count * sampleMs) / Math.max(0.01, ms) / 1000) * 1000)
    if (ms >= sampleMs / 2 && warmMs >= warmUpMs) return fitting
    count = Math.min(fitting, count * 4)
  }
}

interface RoundRate {
  readonly median: number
  readonly samples: number[]
}

function rateOf(bench: Bench, task: string, batch: number): RoundRate {
  const result = bench.getTask(task)?.result
  if (result?.state !== 'completed') throw new Error(`${task} was not measured: ${result?.state}`)
  const perSecond = (ms: number): number => (batch * 1000) / ms
  return { median: perSecond(result.latency.p50), samples: (result.latency.samples ?? []).map(perSecond) }
}

function taskName(contestant: Contestant, round: number): string {
  return `${contestant.name}, round ${round + 1}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >>> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

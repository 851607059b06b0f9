/** One thing at a time is changed of the usual group: what does it cost? */
import type { Check } from './checks.ts'
import { type GroupSetting, MeasuredGroup, USUAL } from './group/measured-group.ts'
import { measureRates, type Rate, ratioOf } from './measure.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { bytesPerSecond, cores, nanoseconds, perSecond, size, spread, table } from './table.ts'

const TOPOLOGY = `
      as in 'group': 64 B, 4 components, 2 sources, 1 mirror, 16 volumes, a set each 100 ms, per-volume sequence

  Each variation takes turns with a group of that kind, in the same run. Costs are processor time, which threads that
  wait for a core do not add to: 1.3 times is 30 % more for each update.
`

interface Variation {
  readonly name: string
  readonly change: Partial<GroupSetting>
  /** What the project wants: at most so many times the usual cost of an update. */
  readonly wanted?: number
}

const VARIATIONS: readonly Variation[] = [
  { name: '512 B', change: { lengthBytes: 512 } },
  { name: '4 KiB', change: { lengthBytes: 4096 } },
  { name: '64 KiB', change: { lengthBytes: 65536 } },
  { name: '2 components', change: { components: 2 } },
  { name: '8 components', change: { components: 8 } },
  { name: '16 components', change: { components: 16 }, wanted: 2 },
  { name: '1 source', change: { sources: 1 } },
  { name: '4 sources', change: { sources: 4 } },
  { name: '8 sources', change: { sources: 8 } },
  { name: '2 mirrors', change: { mirrors: 2 } },
  { name: '3 mirrors', change: { mirrors: 3 } },
  { name: 'none taken by the responsible one', change: { ownShare: 0 } },
  { name: 'half taken by the responsible one', change: { ownShare: 0.5 } },
  { name: 'all taken by the responsible one', change: { ownShare: 1 } },
  { name: '1 volume', change: { volumes: 1 } },
  { name: '1000 volumes', change: { volumes: 1000 } },
  { name: '10000 volumes', change: { volumes: 10_000 }, wanted: 1.3 },
  { name: 'group-wide sequence', change: { ordering: 'group-sequence' } },
  { name: 'time stamps', change: { ordering: 'timestamp' } },
  { name: 'a set each 10 ms', change: { periodMs: 10 } },
  { name: 'a set each 1000 ms', change: { periodMs: 1000 }, wanted: 1.1 }
]
/** With --quick. */
const QUICK_ONES = [
  '4 KiB',
  '8 components',
  '4 sources',
  '2 mirrors',
  'all taken by the responsible one',
  '1000 volumes'
]

export interface VariationResult {
  readonly name: string
  readonly setting: GroupSetting
  readonly wanted: number | undefined
  readonly rate: Rate
  readonly usual: Rate
  /** Medians over the rounds: updates a second by those of the usual group, and what an update costs. */
  readonly rateRatio: number
  readonly costRatio: number
  readonly sets: number
  readonly setsClosedEarly: number
}

export const VARIATIONS_SUITE: Suite<VariationResult[]> = {
  name: 'variations',
  about: 'the group with one thing changed: sizes, components, sources, mirrors, volumes, orderings, periods',
  topology: TOPOLOGY,
  run: benchVariations,
  disturbances: (results) => results.map(({ rate }) => rate),
  verdicts: (results) => results.flatMap(verdictsOf)
}

async function benchVariations({
  quick,
  pace,
  print
}: SuiteSettings): Promise<{ result: VariationResult[]; checks: Check[] }> {
  const result: VariationResult[] = []
  const checks: Check[] = []
  for (const variation of VARIATIONS) {
    if (quick && !QUICK_ONES.includes(variation.name)) continue
    const setting = { ...USUAL, ...variation.change }
    const varied = await MeasuredGroup.open(setting, variation.name)
    const usual = await MeasuredGroup.open(USUAL, 'usual group')
    const [rate, usualRate] = (await measureRates([varied, usual], pace)) as [Rate, Rate]
    checks.push(...(await varied.check()), ...(await usual.check()))
    await Promise.all([varied.close(), usual.close()])
    result.push({
      name: variation.name,
      setting,
      wanted: variation.wanted,
      rate,
      usual: usualRate,
      rateRatio: ratioOf(rate, usualRate),
      costRatio: rate.cpuNs / usualRate.cpuNs,
      sets: varied.sets,
      setsClosedEarly: varied.setsClosedEarly
    })
  }
  print(table(VARIATION_HEAD, result.map(describeVariation)))
  return { result, checks }
}

function verdictsOf({ name, wanted, costRatio }: VariationResult): Verdict[] {
  if (wanted === undefined) return []
  const what = `${name}: cost of an update by the usual group's`
  return [{ what, found: costRatio.toFixed(2), wanted: `at most ${wanted}`, isMet: costRatio <= wanted }]
}

export const VARIATION_HEAD = [
  'changed',
  'updates/s',
  'lowest .. highest',
  'bytes/s',
  'cpu/update',
  'times usual rate',
  'times usual cost',
  'cores own + other',
  'early sets'
]

export function describeVariation(result: VariationResult): string[] {
  const { name, setting, rate, rateRatio, costRatio, sets, setsClosedEarly } = result
  return [
    setting.lengthBytes === USUAL.lengthBytes ? name : `${size(setting.lengthBytes)} updates`,
    perSecond(rate.median),
    spread(rate),
    bytesPerSecond(rate.median * setting.lengthBytes),
    nanoseconds(rate.cpuNs),
    rateRatio.toFixed(2),
    costRatio.toFixed(2),
    cores(rate),
    `${setsClosedEarly} of ${sets}`
  ]
}

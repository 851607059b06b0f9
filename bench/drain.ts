/** How fast a set that has ended gets to the secondary files, beside a plain write of as many bytes to the same disk. */
import type { Check } from './checks.ts'
import { makeDiskDirectory } from './disk-directory.ts'
import { DrainedGroup, neededBytes, type SetPlan } from './drain/drained-group.ts'
import { plainPiece, writePlainly } from './drain/plain-write.ts'
import {
  checksOf,
  type DrainRate,
  type DrainRowResult,
  type DrainTurn,
  describePlaces,
  evaluate,
  nameOf,
  ROWS,
  UNFOLDED
} from './drain/rows.ts'
import { median } from './measure.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { bytesPerSecond, cores, nanoseconds, perSecond, size, table } from './table.ts'
import { Usage } from './usage.ts'

const TOPOLOGY = `
      component 0 .. 3 (threads)  --links (addresses)-->  secondary component (thread)
      hold a whole set, 1 mirror                            |  journal, one sync:                        SECURED
      nobody writes any more                                |  newest bytes of each range to 16 volumes'
                                                            v  files, each synced:                       APPLIED

      plain write: as many bytes to a new file on the same disk, 4 MiB at a time, one sync at the end, in turns with it

  Times are from the call that ends the period.
`

const MIB = 2 ** 20
const SET_BYTES = 256 * MIB
const QUICK_SET_BYTES = 32 * MIB

export interface DrainResult {
  /** The directory and its file system. */
  readonly where: string
  readonly rows: DrainRowResult[]
  /** For lack of memory, in the whole run: a part of such a set is drained before it is measured. */
  readonly setsClosedEarly: number
}

export const DRAIN: Suite<DrainResult> = {
  name: 'drain',
  about: 'from the end of a set until it is secured, until it is in the files, beside a plain write',
  topology: TOPOLOGY,
  run: benchDrain,
  disturbances: ({ rows }) => rows,
  verdicts: ({ rows }) => rows.flatMap(verdictsOf)
}

async function benchDrain({ quick, pace, print }: SuiteSettings): Promise<{ result: DrainResult; checks: Check[] }> {
  const setBytes = quick ? QUICK_SET_BYTES : SET_BYTES
  await using disk = await makeDiskDirectory(neededBytes(setBytes))
  print(`  files in ${disk.where}; sets of ${setBytes / MIB} MiB\n\n`)
  const group = await DrainedGroup.open(disk.path, setBytes)
  await group.fill()
  const turns = ROWS.map((): DrainTurn[] => [])
  const usages = ROWS.map(() => new Usage())
  const piece = plainPiece()
  const plain = (): number => writePlainly(disk.path, setBytes, piece)
  // A round before those that count: code is compiled.
  for (const { plan } of ROWS) await takeTurn(group, plan, new Usage(), plain, true)
  for (let round = 0; round < pace.rounds; round++) {
    for (const [n, { plan }] of ROWS.entries()) {
      turns[n]?.push(await takeTurn(group, plan, usages[n] as Usage, plain, round % 2 === 0))
    }
  }
  const checks = ROWS.flatMap((row, n) => checksOf(row, setBytes, turns[n] as DrainTurn[]))
  checks.push(...(await group.close()))
  const unfolded = turns[ROWS.indexOf(UNFOLDED)] as DrainTurn[]
  const rows = ROWS.map((row, n) => evaluate(row, setBytes, turns[n] as DrainTurn[], unfolded, usages[n] as Usage))
  const { setsClosedEarly } = group.group
  print(table(DRAIN_HEAD, rows.flatMap(describeDrained), 3))
  print(`\n  sets closed early for lack of memory: ${setsClosedEarly}\n`)
  return { result: { where: disk.where, rows, setsClosedEarly }, checks }
}

/** The whole set is acknowledged before anything is measured. Every other round the plain write comes after it. */
async function takeTurn(
  group: DrainedGroup,
  plan: SetPlan,
  usage: Usage,
  plain: () => number,
  isPlainFirst: boolean
): Promise<DrainTurn> {
  const updates = await group.post(plan)
  const before = isPlainFirst ? plain() : 0
  const drained = await usage.during(updates, () => group.drain())
  return { ...drained, plainMs: isPlainFirst ? before : plain() }
}

function verdictsOf(row: DrainRowResult): Verdict[] {
  const { wanted, secured, applied } = row
  const atLeast = (what: string, found: number, least: number): Verdict => ({
    what: `${nameOf(row)}, ${what}`,
    found: found.toFixed(2),
    wanted: `at least ${least}`,
    isMet: found >= least
  })
  if (wanted === undefined) return []
  if ('timesUnfolded' in wanted) {
    return [atLeast('updates applied by those without overwrites', applied.timesUnfolded, wanted.timesUnfolded)]
  }
  return [
    atLeast('secured by the plain write', secured.timesPlain, wanted.secured),
    atLeast('applied by the plain write', applied.timesPlain, wanted.applied)
  ]
}

export const DRAIN_HEAD = [
  'update',
  'places',
  'until',
  'ms',
  'updates/s',
  'bytes/s',
  'plain write',
  'times plain write',
  'times without overwrites',
  'cpu/update',
  'cores own + other'
]

export function describeDrained(result: DrainRowResult): string[][] {
  const { plan, turns, plainBytesPerSecond, cpuNs } = result
  const line = (until: string, stage: 'securedMs' | 'appliedMs', rate: DrainRate): string[] => [
    size(plan.lengthBytes),
    describePlaces(plan.places),
    until,
    median(turns.map((turn) => turn[stage])).toFixed(0),
    perSecond(rate.updatesPerSecond),
    bytesPerSecond(rate.bytesPerSecond),
    bytesPerSecond(plainBytesPerSecond),
    rate.timesPlain.toFixed(2),
    plan.lengthBytes === UNFOLDED.plan.lengthBytes ? rate.timesUnfolded.toFixed(2) : '',
    ...(until === 'applied' ? [nanoseconds(cpuNs), cores(result)] : [])
  ]
  return [line('secured', 'securedMs', result.secured), line('applied', 'appliedMs', result.applied)]
}

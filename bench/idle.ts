/** What a group costs while nobody writes: processor time of all its threads, and how often they wake up. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Check } from './checks.ts'
import { makeDiskDirectory } from './disk-directory.ts'
import { CountedGroup } from './failover/counted-group.ts'
import { median } from './measure.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { table } from './table.ts'
import { Usage } from './usage.ts'

const TOPOLOGY = `
      source 0, 1 (open, nothing is posted)   component 0 .. C-1, a spare, the control thread   secondary 0, 1 ('files')

      16 volumes, one mirror; a set without updates each 100 ms

  Processor time of the whole process while it waits, as a part of one core; 'no group' is the process by itself.
`

const VOLUMES = Array.from({ length: 16 }, (_, n) => `volume-${n}`)
const VOLUME_BYTES = 2 ** 20
const PERIOD_MS = 100
const SOURCES = 2
const LOOK_EVERY_MS = 10
const FULL: Stretches = { restMs: 3000, stretches: 5, stretchMs: 2000 }
const QUICK: Stretches = { restMs: 200, stretches: 3, stretchMs: 200 }
/** What the project wants: less than this of one core. */
const WANTED = { components: 4, percent: 2 }

interface Stretches {
  /** After everything has been used once, and before anything is measured. */
  readonly restMs: number
  readonly stretches: number
  readonly stretchMs: number
}

export interface IdleUsage {
  /** Of one core: the median of the stretches, the lowest, the highest. */
  readonly percent: number
  readonly lowest: number
  readonly highest: number
  /** How often a thread of the process went to sleep. */
  readonly sleepsPerSecond: number
  readonly ownCores: number
  readonly otherCores: number
}

export interface IdleResult extends IdleUsage {
  /** 0: no group. */
  readonly components: number
  readonly secondary: 'discard' | 'files'
  /** That were applied meanwhile, without updates. */
  readonly sets: number
}

export const IDLE: Suite<IdleResult[]> = {
  name: 'idle',
  about: 'processor time of a group to which nobody writes',
  topology: TOPOLOGY,
  run: benchIdle,
  disturbances: (results) => results,
  verdicts: (results) => results.flatMap(verdictsOf)
}

async function benchIdle({ quick, print }: SuiteSettings): Promise<{ result: IdleResult[]; checks: Check[] }> {
  const stretches = quick ? QUICK : FULL
  const result: IdleResult[] = [{ components: 0, secondary: 'discard', sets: 0, ...(await measureUsage(stretches)) }]
  const checks: Check[] = []
  for (const components of [4, 16]) {
    for (const secondary of ['discard', 'files'] as const) {
      const measured = await measureIdle(components, secondary, stretches)
      result.push(measured.result)
      checks.push(...measured.checks)
    }
  }
  print(table(HEAD, result.map(describe), 2))
  return { result, checks }
}

async function measureIdle(
  components: number,
  secondary: 'discard' | 'files',
  stretches: Stretches
): Promise<{ result: IdleResult; checks: Check[] }> {
  await using disk = await makeDiskDirectory(VOLUMES.length * VOLUME_BYTES)
  const group = await CountedGroup.open(`${components} components, idle, ${secondary}`, {
    volumes: VOLUMES.map((name) => ({ name, size: VOLUME_BYTES })),
    components,
    spares: 1,
    formationPeriodMs: PERIOD_MS,
    secondary: secondary === 'discard' ? 'discard' : { directory: disk.path }
  })
  // Everything has been used once: what is measured is a group at rest, not one that nobody has ever written to.
  const posted = await writeOnce(group)
  await group.whole()
  await group.closeSet()
  const before = group.sets
  const usage = await measureUsage(stretches)
  // On a busy machine it may be late; that none comes at all is no rest but a hang.
  await group.watched('a set without updates', untilMore(group, before))
  const sets = group.sets - before
  const checks = await group.checkSets(posted)
  await group.close()
  return { result: { components, secondary, sets, ...usage }, checks }
}

async function writeOnce(group: CountedGroup): Promise<{ updates: number; bytes: number }> {
  const data = new Uint8Array(4096).fill(7)
  for (let n = 0; n < SOURCES; n++) {
    const source = group.group.openSource(`source-${n}`)
    await group.watched('writing', Promise.all(VOLUMES.map((name) => source.volume(name).write(0, data))))
  }
  const updates = SOURCES * VOLUMES.length
  return { updates, bytes: updates * data.length }
}

async function untilMore(group: CountedGroup, sets: number): Promise<void> {
  while (group.sets === sets) await pause(LOOK_EVERY_MS)
}

async function measureUsage({ restMs, stretches, stretchMs }: Stretches): Promise<IdleUsage> {
  await pause(restMs)
  const found: ReturnType<Usage['read']>[] = []
  for (let n = 0; n < stretches; n++) {
    const usage = new Usage()
    await usage.during(stretchMs, () => pause(stretchMs))
    found.push(usage.read())
  }
  const percents = found.map(({ ownCores }) => ownCores * 100)
  return {
    percent: median(percents),
    lowest: Math.min(...percents),
    highest: Math.max(...percents),
    // For 1000 of what it counted, and it counted milliseconds.
    sleepsPerSecond: median(found.map(({ sleeps }) => sleeps)),
    ownCores: median(found.map(({ ownCores }) => ownCores)),
    otherCores: median(found.map(({ otherCores }) => otherCores))
  }
}

function verdictsOf({ components, secondary, percent }: IdleResult): Verdict[] {
  if (components !== WANTED.components) return []
  const what = `${components} components, ${secondary}, idle: of one core`
  return [
    { what, found: `${percent.toFixed(2)} %`, wanted: `less than ${WANTED.percent} %`, isMet: percent < WANTED.percent }
  ]
}

const HEAD = ['components', 'sets go to', '% of a core', 'lowest .. highest', 'sleeps/s', 'sets', 'other cores']

function describe(result: IdleResult): string[] {
  const { components, secondary, percent, lowest, highest, sleepsPerSecond, sets, otherCores } = result
  const isGroup = components > 0
  return [
    isGroup ? String(components) : 'no group',
    isGroup ? (secondary === 'discard' ? 'nowhere' : 'files') : '',
    percent.toFixed(2),
    `${lowest.toFixed(2)} .. ${highest.toFixed(2)}`,
    sleepsPerSecond.toFixed(0),
    isGroup ? String(sets) : '',
    otherCores.toFixed(1)
  ]
}

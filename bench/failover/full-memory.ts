/** Components die while their memory is nearly full all the time: sources write as fast as they may. */
import { type BackupGroup, type LocalSecondary, openSecondary, type SourcePort } from '../../src/index.ts'
import { BenchThread } from '../bench-thread.ts'
import type { Check } from '../checks.ts'
import { type Latency, LatencyHistogram } from '../latency.ts'
import { perSecond, table } from '../table.ts'
import { inTemporaryDirectory } from '../temporary-directory.ts'
import { type ComponentStatus, CountedGroup } from './counted-group.ts'
import { countRight } from './images.ts'
import { milliseconds } from './kills.ts'
import { SourceGauges } from './source-gauges.ts'

const MIB = 2 ** 20
const COMPONENTS = 4
const SPARES = 1
const SOURCES = 2
const VOLUMES = Array.from({ length: 16 }, (_, n) => `volume-${n}`)
/** Of each volume, for each source: they write where no other does, so each knows what must be there. */
export const OWN_BYTES = 128 * 1024
const PERIOD_MS = 1000
/** In so many kills at least one set must become formed. */
const KILLS_PER_SET = 10
const SEED = 1

export interface FullMemoryThreadData {
  readonly port: SourcePort
  readonly volumes: readonly string[]
  readonly source: number
  readonly seed: number
  readonly gauges: SharedArrayBuffer
}

export interface FullMemorySourceResult {
  readonly updates: number
  readonly bytes: number
  /** By volume: what must be in this source's part of it. */
  readonly model: Uint8Array[]
}

export interface FullMemorySetting {
  readonly componentMemoryBytes: number
  /** Sets go to files in a temporary directory, and every byte of them is compared; else they are dropped. */
  readonly isOnDisk: boolean
  readonly kills: number
  /** Before those whose times are recorded. */
  readonly warmUpKills: number
}

export interface FullMemoryResult {
  readonly setting: FullMemorySetting
  readonly redundant: Latency
  readonly killsPerSecond: number
  readonly updatesPerSecond: number
  readonly sets: number
  readonly setsClosedEarly: number
}

/** 1,000 kills in all, beside those to warm up. */
export function fullMemorySettings(quick: boolean): FullMemorySetting[] {
  const settings = [
    { componentMemoryBytes: MIB, isOnDisk: false, kills: 350, warmUpKills: 20 },
    { componentMemoryBytes: 4 * MIB, isOnDisk: false, kills: 350, warmUpKills: 20 },
    { componentMemoryBytes: 2 * MIB, isOnDisk: true, kills: 300, warmUpKills: 20 }
  ]
  return quick ? settings.map((setting, n) => ({ ...setting, kills: n === 0 ? 6 : 7, warmUpKills: 1 })) : settings
}

export async function measureFullMemory(
  setting: FullMemorySetting
): Promise<{ result: FullMemoryResult; checks: Check[] }> {
  if (!setting.isOnDisk) return measure(setting)
  return inTemporaryDirectory((directory) => measure(setting, { directory }))
}

async function measure(
  setting: FullMemorySetting,
  local?: LocalSecondary
): Promise<{ result: FullMemoryResult; checks: Check[] }> {
  const name = `${setting.componentMemoryBytes / MIB} MiB, ${setting.isOnDisk ? 'files' : 'discarded'}`
  const group = await CountedGroup.open(name, {
    volumes: VOLUMES.map((volume) => ({ name: volume, size: SOURCES * OWN_BYTES })),
    components: COMPONENTS,
    spares: SPARES,
    formationPeriodMs: PERIOD_MS,
    componentMemoryBytes: setting.componentMemoryBytes,
    secondary: local ?? 'discard'
  })
  const gauges = SourceGauges.allocate(SOURCES)
  const threads = Array.from({ length: SOURCES }, (_, source) => startSource(group.group, source, gauges))
  const writing = Promise.all(threads.map((thread) => thread.ask('write')))
  // Whoever waits for a source sees when it fails.
  const failed = writing.then(() => new Promise<never>(() => {}))
  const histogram = new LatencyHistogram()
  let [setsFormed, standstills] = [0, 0]
  const updatesBefore = gauges.posted()
  const began = performance.now()
  const kills = setting.warmUpKills + setting.kills
  for (let kill = 0; kill < kills; kill++) {
    await Promise.race([failed, group.watched('sources that write on', gauges.allMoved())])
    await Promise.race([failed, group.whole()])
    const victim = group.active()[kill % COMPONENTS] as ComponentStatus
    const { redundantMs } = await group.kill(victim.id, 'terminate')
    if (kill >= setting.warmUpKills) histogram.record(redundantMs)
    if ((kill + 1) % KILLS_PER_SET !== 0) continue
    const { formed } = group.group.status().sets
    if (formed === setsFormed) standstills++
    setsFormed = formed
  }
  const seconds = (performance.now() - began) / 1000
  const updatesPerSecond = (gauges.posted() - updatesBefore) / seconds
  gauges.stop()
  const sources = await group.watched('sources that come to their end', writing)
  const sum = (of: (source: FullMemorySourceResult) => number): number =>
    sources.reduce((total, source) => total + of(source), 0)
  const checks = await group.checkSets({ updates: sum(({ updates }) => updates), bytes: sum(({ bytes }) => bytes) })
  checks.push({ name: `${name}: stretches of kills without a new set`, expected: 0, found: standstills })
  const { sets, setsClosedEarly } = group
  await group.close()
  await Promise.all(threads.map((thread) => thread.close()))
  if (local !== undefined) checks.push(await checkImages(name, local.directory, sources))
  const killsPerSecond = kills / seconds
  const result = { setting, redundant: histogram.read(), killsPerSecond, updatesPerSecond, sets, setsClosedEarly }
  return { result, checks }
}

function startSource(
  group: BackupGroup,
  source: number,
  gauges: SourceGauges
): BenchThread<'write', FullMemorySourceResult> {
  const port = group.exportSource(`source-${source}`)
  const data: FullMemoryThreadData = { port, volumes: VOLUMES, source, seed: SEED + source, gauges: gauges.buffer }
  return new BenchThread('full-memory-source', data)
}

async function checkImages(
  name: string,
  directory: string,
  sources: readonly FullMemorySourceResult[]
): Promise<Check> {
  await using secondary = await openSecondary(directory, { readOnly: true })
  const { volumes } = await secondary.inspect()
  const paths = VOLUMES.map((volume) => volumes.find((found) => found.name === volume)?.path ?? '')
  const models = sources.map(({ model }) => model)
  const found = await countRight(paths, models, OWN_BYTES)
  return { name: `${name}: bytes of files as last written`, expected: VOLUMES.length * SOURCES * OWN_BYTES, found }
}

export const FULL_MEMORY_HEAD = [
  'memory each',
  'sets go to',
  'kills',
  'redundant p50 ms',
  'p90',
  'p99',
  'max',
  'kills/s',
  'updates/s',
  'sets',
  'closed early'
]

export function describeFullMemoryRows(results: readonly FullMemoryResult[]): string[][] {
  return results.map(({ setting, redundant, killsPerSecond, updatesPerSecond, sets, setsClosedEarly }) => [
    `${setting.componentMemoryBytes / MIB} MiB`,
    setting.isOnDisk ? 'files' : 'nowhere',
    String(setting.kills),
    ...[redundant.p50, redundant.p90, redundant.p99, redundant.max].map(milliseconds),
    killsPerSecond.toFixed(1),
    perSecond(updatesPerSecond),
    String(sets),
    String(setsClosedEarly)
  ])
}

export function describeFullMemory(results: readonly FullMemoryResult[]): string {
  return table(FULL_MEMORY_HEAD, describeFullMemoryRows(results), 2)
}

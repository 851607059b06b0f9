/** Failover of one component after another: how long each step takes, and what sources notice of it. */
import type { Check } from '../checks.ts'
import { type Latency, LatencyHistogram } from '../latency.ts'
import { median } from '../measure.ts'
import { bytesPerSecond, cores, size, table } from '../table.ts'
import { Usage } from '../usage.ts'
import type { FailureKind } from './counted-group.ts'
import { type KillRecord, KillStage, type StageSetting } from './kill-stage.ts'

const MIB = 2 ** 20

export interface KillsSetting extends Omit<StageSetting, 'name'> {
  readonly how: FailureKind
  readonly kills: number
  /** Before those that are counted: code is compiled, memory touched for the first time. */
  readonly warmUpKills: number
}

export interface KillsResult {
  readonly setting: KillsSetting
  /** From the death (a hang: from the last sign of life) to each point. */
  readonly detected: Latency
  readonly reassigned: Latency
  readonly redundant: Latency
  /** The longest wait of either source for an acknowledgement around each kill. */
  readonly waits: { readonly awaiting: Latency; readonly posting: Latency }
  /** The longest wait of a kill by its time until redundant. */
  readonly waitRatio: { readonly p50: number; readonly max: number; readonly above: number }
  /** Medians, in milliseconds: where the time goes. */
  readonly steps: { readonly detect: number; readonly reassign: number; readonly mirror: number }
  /** Medians of a kill. */
  readonly heldBytes: number
  readonly movedUpdates: number
  readonly movedBytes: number
  /** Moved bytes by the time from reassigned to redundant. */
  readonly movedBytesPerSecond: number
  readonly ownCores: number
  readonly otherCores: number
}

/** A source may wait so many times as long as it took until everything was redundant. */
export const WANTED_WAIT_RATIO = 3
/** What the project wants of a 4 KiB row in which a thread is terminated and a spare takes over, 8 MiB held. */
export const WANTED_KILL = { p50Ms: 5, p99Ms: 15 }

const USUAL: KillsSetting = {
  lengthBytes: 4096,
  heldBytes: 8 * MIB,
  componentMemoryBytes: 64 * MIB,
  takeover: 'spare',
  mirrors: 1,
  how: 'terminate',
  kills: 200,
  warmUpKills: 20
}

const HANG_TIMEOUT_MS = 100

/** The first is the one with wanted figures. */
export function killsSettings(quick: boolean): KillsSetting[] {
  const settings: KillsSetting[] = [
    USUAL,
    { ...USUAL, lengthBytes: 64 },
    { ...USUAL, how: 'exit', kills: 50 },
    { ...USUAL, how: 'throw', kills: 50 },
    { ...USUAL, how: 'hang', kills: 20, hangTimeoutMs: HANG_TIMEOUT_MS },
    { ...USUAL, takeover: 'survivors' },
    { ...USUAL, mirrors: 2 },
    { ...USUAL, heldBytes: 256 * MIB, componentMemoryBytes: 768 * MIB, kills: 10, warmUpKills: 2 }
  ]
  if (!quick) return settings
  return settings.map((setting, n) => ({
    ...setting,
    kills: n === 0 ? 10 : 3,
    warmUpKills: n === 0 ? 3 : 1,
    // Filling a quarter of a gigabyte is not quick.
    heldBytes: Math.min(setting.heldBytes, 32 * MIB),
    componentMemoryBytes: Math.min(setting.componentMemoryBytes, 128 * MIB)
  }))
}

export async function measureKills(setting: KillsSetting): Promise<{ result: KillsResult; checks: Check[] }> {
  const stage = await KillStage.open({ ...setting, name: killsName(setting) })
  for (let kill = 0; kill < setting.warmUpKills; kill++) await stage.kill(setting.how)
  const usage = new Usage()
  const records: KillRecord[] = []
  const run = async (): Promise<number> => {
    for (let kill = 0; kill < setting.kills; kill++) records.push(await stage.kill(setting.how))
    return 0
  }
  await usage.sample({ name: 'kills', run }, setting.kills)
  const checks = await stage.close()
  return { result: { ...evaluate(setting, records), ...usage.read() }, checks }
}

function evaluate(setting: KillsSetting, records: readonly KillRecord[]): Omit<KillsResult, 'ownCores' | 'otherCores'> {
  const latency = (of: (record: KillRecord) => number): Latency => {
    const histogram = new LatencyHistogram()
    for (const record of records) histogram.record(of(record))
    return histogram.read()
  }
  const middle = (of: (record: KillRecord) => number): number => median(records.map(of))
  const ratios = records.map(({ report, waits }) => Math.max(waits.awaiting, waits.posting) / report.redundantMs)
  return {
    setting,
    detected: latency(({ report }) => report.detectedMs),
    reassigned: latency(({ report }) => report.reassignedMs),
    redundant: latency(({ report }) => report.redundantMs),
    waits: { awaiting: latency(({ waits }) => waits.awaiting), posting: latency(({ waits }) => waits.posting) },
    waitRatio: {
      p50: median(ratios),
      max: Math.max(...ratios),
      above: ratios.filter((ratio) => ratio > WANTED_WAIT_RATIO).length
    },
    steps: {
      detect: middle(({ report }) => report.detectedMs),
      reassign: middle(({ report }) => report.reassignedMs - report.detectedMs),
      mirror: middle(({ report }) => report.redundantMs - report.reassignedMs)
    },
    heldBytes: middle(({ heldBytes }) => heldBytes),
    movedUpdates: middle(({ report }) => report.movedUpdates),
    movedBytes: middle(({ report }) => report.movedBytes),
    movedBytesPerSecond: middle(
      ({ report }) => (report.movedBytes * 1000) / Math.max(0.001, report.redundantMs - report.reassignedMs)
    )
  }
}

export function killsName({ lengthBytes, how, takeover, mirrors, heldBytes }: KillsSetting): string {
  const who = takeover === 'spare' ? 'a spare takes over' : 'the survivors take over'
  const copies = mirrors === 1 ? '1 mirror' : `${mirrors} mirrors`
  return `${size(lengthBytes)}, ${how}, ${who}, ${copies}, ${(heldBytes / MIB).toFixed(0)} MiB held`
}

export const KILLS_HEAD = ['ms from the death until', 'p50', 'p90', 'p99', 'max']

/** As KILLS_HEAD has it. */
export function latencyRow(what: string, { p50, p90, p99, max }: Latency): string[] {
  return [what, ...[p50, p90, p99, max].map(milliseconds)]
}

export function describeKillsRows({ detected, reassigned, redundant, waits }: KillsResult): string[][] {
  return [
    latencyRow('detected', detected),
    latencyRow('reassigned', reassigned),
    latencyRow('redundant', redundant),
    latencyRow('longest wait, await write', waits.awaiting),
    latencyRow('longest wait, posting on', waits.posting)
  ]
}

/** Lines. */
export function describeKillsMedians(result: KillsResult): string[] {
  const { setting, waitRatio, steps } = result
  const ratios = `median ${waitRatio.p50.toFixed(2)}, max ${waitRatio.max.toFixed(2)}`
  const more = `${steps.reassign.toFixed(1)} more until reassigned, ${steps.mirror.toFixed(1)} more until redundant`
  const held = `${(result.heldBytes / MIB).toFixed(1)} MiB held by the one that died`
  const moved = `${result.movedUpdates.toFixed(0)} updates, ${(result.movedBytes / MIB).toFixed(1)} MiB moved`
  const speed = `from reassigned to redundant at ${bytesPerSecond(result.movedBytesPerSecond)}`
  return [
    `the longest wait by the time until redundant: ${ratios}, above ${WANTED_WAIT_RATIO} in ${waitRatio.above} of ${setting.kills} kills`,
    `medians: ${steps.detect.toFixed(1)} ms until detected, ${more}`,
    `medians: ${held}, ${moved}, ${speed}`,
    `cores own + other: ${cores(result)}`
  ]
}

export function describeKills(result: KillsResult): string {
  const { kills, warmUpKills } = result.setting
  return [
    `\n  ${killsName(result.setting)}: ${kills} kills after ${warmUpKills} to warm up\n\n`,
    table(KILLS_HEAD, describeKillsRows(result)),
    '\n',
    ...describeKillsMedians(result).map((line) => `  ${line}\n`)
  ].join('')
}

export function milliseconds(us: number): string {
  return (us / 1000).toFixed(us < 100_000 ? 2 : 0)
}

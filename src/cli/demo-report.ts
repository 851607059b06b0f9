import path from 'node:path'
import { build } from 'hdr-histogram-js'
import { HANG_TIMEOUT_MS, type Kill } from './demo-kills.ts'
import type { ComparedVolume } from './demo-volumes.ts'

export interface Failover {
  readonly detectedMs: number
  readonly reassignedMs: number
  readonly redundantMs: number
}

/** The document of `demo --json`. */
export interface DemoResult {
  readonly ok: boolean
  readonly volumes: readonly ComparedVolume[]
  readonly updatesPerSecond: number
  readonly bytesPerSecond: number
  /** Medians over the kills; null where there was none. */
  readonly failover: Failover | null
  readonly sets: number
  readonly kills: readonly (Failover & {
    readonly component: number
    readonly how: Kill['how']
    readonly movedUpdates: number
    readonly movedBytes: number
  })[]
}

export interface Figures {
  readonly volumes: readonly ComparedVolume[]
  readonly updates: number
  readonly seconds: number
  readonly sets: number
  readonly kills: readonly Kill[]
}

const STEPS = ['detectedMs', 'reassignedMs', 'redundantMs'] as const
const MEANINGS: Record<keyof Failover, string> = {
  detectedMs: 'detected after',
  reassignedMs: 'work reassigned after',
  redundantMs: 'redundant again after'
}
const LABEL_WIDTH = 22

export function resultOf({ volumes, updates, seconds, sets, kills }: Figures): DemoResult {
  const bytes = volumes.reduce((sum, volume) => sum + volume.bytes, 0)
  return {
    ok: volumes.every(({ match }) => match),
    volumes,
    updatesPerSecond: Math.round(updates / seconds),
    bytesPerSecond: Math.round(bytes / seconds),
    failover: kills.length === 0 ? null : timesOf((step) => median(kills.map(({ report }) => report[step]))),
    sets,
    kills: kills.map(({ how, report }) => ({
      component: report.component,
      how,
      ...timesOf((step) => report[step]),
      movedUpdates: report.movedUpdates,
      movedBytes: report.movedBytes
    }))
  }
}

function timesOf(time: (step: keyof Failover) => number): Failover {
  const [detectedMs = 0, reassignedMs = 0, redundantMs = 0] = STEPS.map((step) => toMicrosecond(time(step)))
  return { detectedMs, reassignedMs, redundantMs }
}

function toMicrosecond(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] as number
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] as number)) / 2
}

export function describe(result: DemoResult, directory: string): string {
  const { ok, volumes, kills, sets, updatesPerSecond, bytesPerSecond } = result
  const lines = volumes.map(
    ({ name, bytes, sha256, match }) => `${match ? 'match  ' : 'DIFFERS'}  ${sha256}  ${bytes} bytes  ${name}`
  )
  lines.push(
    `${counted(sets, 'set')}, ${updatesPerSecond} updates/s, ${(bytesPerSecond / 2 ** 20).toFixed(1)} MiB/s`,
    ...describeKills(result)
  )
  if (kills.length > 0 && ok) lines.push('Nothing was lost: every secondary volume is identical to its file.')
  lines.push(`The secondary volumes are in ${path.join(directory, 'volumes')}`)
  return `${lines.join('\n')}\n`
}

function describeKills({ kills, failover }: DemoResult): string[] {
  if (failover === null) return ['no component was killed']
  const ways = kills.map(({ how }) => how).join(', ')
  const moved = kills.reduce((sum, { movedUpdates }) => sum + movedUpdates, 0)
  const lines = [
    `${counted(kills.length, 'component')} killed in mid-period (${ways}), ${counted(moved, 'update')} copied anew from mirrors`,
    ...(kills.length === 1 ? STEPS.map((step) => row([MEANINGS[step], inMs(failover[step])])) : describeSpread(kills))
  ]
  if (kills.some(({ how }) => how === 'hang')) {
    lines.push(`  a hang is noticed when there was no progress for ${HANG_TIMEOUT_MS} ms`)
  }
  return lines
}

/** A table of percentiles, from HDR histograms of microseconds. */
function describeSpread(kills: DemoResult['kills']): string[] {
  const rows = STEPS.map((step) => {
    const histogram = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: 3600e6,
      numberOfSignificantValueDigits: 3
    })
    for (const kill of kills) histogram.recordValue(Math.max(1, Math.round(kill[step] * 1000)))
    // A percentile is the upper end of its bucket: that may be above the largest value.
    const values = [50, 99, 100].map((percentile) =>
      Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue)
    )
    return row([MEANINGS[step], ...values.map((value) => inMs(value / 1000))])
  })
  return [row(['', 'p50', 'p99', 'max']), ...rows]
}

function row([first = '', ...others]: readonly string[]): string {
  return `  ${first.padEnd(LABEL_WIDTH)}${others.map((cell) => cell.padStart(11)).join('')}`
}

function inMs(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

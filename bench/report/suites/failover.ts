import {
  type BareFailoverResult,
  bareFailoverName,
  describeBareRows,
  describeTimesBare
} from '../../failover/bare-failover.ts'
import { BLOCKED_HEAD, type BlockedResult, describeBlockedRows } from '../../failover/blocked-host.ts'
import { describeFullMemoryRows, FULL_MEMORY_HEAD, type FullMemoryResult } from '../../failover/full-memory.ts'
import {
  describeKillsMedians,
  describeKillsRows,
  KILLS_HEAD,
  type KillsResult,
  killsName
} from '../../failover/kills.ts'
import { FAILOVER, type FailoverResult } from '../../failover.ts'
import type { Latency } from '../../latency.ts'
import type { Chart } from '../chart.ts'
import { microsecondsLabel } from '../labels.ts'
import { type Line, lineChart } from '../line-chart.ts'
import { SEQUENCE } from '../palette.ts'
import type { ChartedSuite, Figures } from '../section.ts'

const PLACES = ['p50', 'p90', 'p99', 'max']
const STEPS = ['detected', 'reassigned', 'redundant'] as const

export const FAILOVER_SECTION: ChartedSuite<FailoverResult> = {
  suite: FAILOVER,
  section: (result) => ({ charts: charts(result), figures: figures(result) })
}

/** One for each way to fail, and one of memory nearly full; all of the same height. */
function charts({ kills, fullMemory }: FailoverResult): Chart[] {
  const compared = [
    ...kills.flatMap((row) => STEPS.map((step) => row[step])),
    ...fullMemory.map((row) => row.redundant)
  ]
  const chart = (title: string, lines: readonly Line[]): Chart =>
    lineChart({
      title,
      places: PLACES,
      along: 'percentile',
      up: 'since the death',
      label: microsecondsLabel,
      lines,
      compared: compared.flatMap(values)
    })
  const full = fullMemory.map((row, n) => line(fullMemoryName(row), n, row.redundant))
  return [
    ...kills.map((row) =>
      chart(
        killsName(row.setting),
        STEPS.map((step, n) => line(step, n, row[step]))
      )
    ),
    ...(full.length > 0 ? [chart('Redundant again, memory nearly full at each kill', full)] : [])
  ]
}

function line(name: string, n: number, latency: Latency): Line {
  return { name, colour: SEQUENCE[n % SEQUENCE.length] ?? 'text', values: values(latency) }
}

function values({ p50, p90, p99, max }: Latency): number[] {
  return [p50, p90, p99, max]
}

function fullMemoryName({ setting }: FullMemoryResult): string {
  return `${setting.componentMemoryBytes / 2 ** 20} MiB, ${setting.isOnDisk ? 'files' : 'no files'}`
}

function figures({ kills, bare, blocked, fullMemory }: FailoverResult): Figures[] {
  return [...kills.map(ofKills), ofBare(bare, kills), ofBlocked(blocked), ofFullMemory(fullMemory)]
}

function ofKills(result: KillsResult): Figures {
  const { kills, warmUpKills } = result.setting
  return {
    caption: `${killsName(result.setting)}: ${kills} kills after ${warmUpKills} to warm up`,
    head: KILLS_HEAD,
    rows: describeKillsRows(result),
    left: 1,
    notes: describeKillsMedians(result)
  }
}

function ofBare(result: BareFailoverResult, kills: readonly KillsResult[]): Figures {
  const notes = describeTimesBare(result, kills)
  return { caption: bareFailoverName(result), head: KILLS_HEAD, rows: describeBareRows(result), left: 1, notes }
}

function ofBlocked(result: BlockedResult): Figures {
  const { kills, forMs } = result
  return {
    caption: `A component exits, and a thread is in a loop for ${forMs} ms, or none: ${kills} kills of each in turns`,
    head: BLOCKED_HEAD,
    rows: describeBlockedRows(result),
    left: 2
  }
}

function ofFullMemory(results: readonly FullMemoryResult[]): Figures {
  const rows = describeFullMemoryRows(results)
  return { caption: 'Memory nearly full at each kill', head: FULL_MEMORY_HEAD, rows, left: 2 }
}

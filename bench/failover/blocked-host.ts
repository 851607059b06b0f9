/** The host's main thread does nothing else for seconds while a component dies: what sources on other threads notice. */
import { setTimeout as pause } from 'node:timers/promises'
import { BenchThread } from '../bench-thread.ts'
import type { Check } from '../checks.ts'
import { median } from '../measure.ts'
import { table } from '../table.ts'
import { KillStage } from './kill-stage.ts'
import { killsSettings } from './kills.ts'
import { spin } from './spin.ts'

/**
 * A blocked main thread also takes a core from those who mend what was lost. What that costs is told by another thread that
 * takes a core while the main thread is free; what remains is what depends on the main thread.
 */
const SIDES = ['free', 'free, another one blocked', 'blocked'] as const
type SideName = (typeof SIDES)[number]

export interface BlockedSide {
  readonly mainThread: SideName
  /** One kill each, in milliseconds. */
  readonly awaiting: number[]
  readonly posting: number[]
  readonly redundantMs: number[]
}

export interface BlockedResult {
  readonly forMs: number
  readonly kills: number
  readonly sides: BlockedSide[]
}

/** What the project wants of the longest wait while the main thread is blocked. */
export const WANTED_BLOCKED_MS = 100

/** Kills of each side, in turns; the first round is not counted. */
export async function measureBlockedHost(quick: boolean): Promise<{ result: BlockedResult; checks: Check[] }> {
  const forMs = quick ? 500 : 3000
  const kills = quick ? 1 : 10
  const [setting] = killsSettings(quick)
  if (setting === undefined) throw new Error('there is no setting to measure')
  const stage = await KillStage.open({ ...setting, name: 'a blocked host' })
  const spinner = new BenchThread<number, void>('spinner', undefined)
  const meanwhile: Record<SideName, () => Promise<unknown>> = {
    free: () => pause(forMs),
    'free, another one blocked': () => spinner.ask(forMs),
    blocked: async () => spin(forMs)
  }
  const sides = SIDES.map((mainThread): BlockedSide => ({ mainThread, awaiting: [], posting: [], redundantMs: [] }))
  for (let round = 0; round <= kills; round++) {
    for (const { mainThread, awaiting, posting, redundantMs } of sides) {
      const { report, waits } = await stage.kill('exit', meanwhile[mainThread])
      if (round === 0) continue
      awaiting.push(waits.awaiting)
      posting.push(waits.posting)
      redundantMs.push(report.redundantMs)
    }
  }
  await spinner.close()
  return { result: { forMs, kills, sides }, checks: await stage.close() }
}

export function longestBlockedMs({ sides }: BlockedResult): number {
  const blocked = sides.filter(({ mainThread }) => mainThread === 'blocked')
  return Math.max(...blocked.flatMap(({ awaiting, posting }) => [...awaiting, ...posting]))
}

export const BLOCKED_HEAD = ['main thread', 'of each kill', 'median ms', 'max ms']

export function describeBlockedRows({ sides }: BlockedResult): string[][] {
  return sides.flatMap(({ mainThread, awaiting, posting, redundantMs }) => [
    [mainThread, 'longest wait, await write', ...spread(awaiting)],
    [mainThread, 'longest wait, posting on', ...spread(posting)],
    [mainThread, 'until redundant', ...spread(redundantMs)]
  ])
}

export function describeBlocked(result: BlockedResult): string {
  const { forMs, kills } = result
  const head = `\n  A component exits, and for ${forMs} ms a thread is in a loop, or none: ${kills} kills of each in turns\n\n`
  return head + table(BLOCKED_HEAD, describeBlockedRows(result), 2)
}

function spread(values: readonly number[]): string[] {
  return [median(values).toFixed(2), Math.max(...values).toFixed(2)]
}

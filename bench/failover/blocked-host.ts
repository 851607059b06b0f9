/** The host's main thread does nothing else for seconds while a component dies: what sources on other threads notice. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Check } from '../checks.ts'
import { median } from '../measure.ts'
import { table } from '../table.ts'
import { KillStage } from './kill-stage.ts'
import { killsSettings } from './kills.ts'

export interface BlockedSide {
  /** One kill each, in milliseconds. */
  readonly awaiting: number[]
  readonly posting: number[]
  readonly redundantMs: number[]
}

export interface BlockedResult {
  readonly forMs: number
  readonly kills: number
  readonly free: BlockedSide
  readonly blocked: BlockedSide
}

/** What the project wants of the longest wait while the main thread is blocked. */
export const WANTED_BLOCKED_MS = 100

/** Kills of each side, in turns; the first pair is not counted. */
export async function measureBlockedHost(quick: boolean): Promise<{ result: BlockedResult; checks: Check[] }> {
  const forMs = quick ? 500 : 3000
  const kills = quick ? 1 : 10
  const [setting] = killsSettings(quick)
  if (setting === undefined) throw new Error('there is no setting to measure')
  const stage = await KillStage.open({ ...setting, name: 'a blocked host' })
  const side = (): BlockedSide => ({ awaiting: [], posting: [], redundantMs: [] })
  const sides = { free: side(), blocked: side() }
  for (let kill = 0; kill <= kills; kill++) {
    for (const isBlocked of [false, true]) {
      const meanwhile = isBlocked ? () => spin(forMs) : () => pause(forMs)
      const { report, waits } = await stage.kill('exit', meanwhile)
      if (kill === 0) continue
      const { awaiting, posting, redundantMs } = isBlocked ? sides.blocked : sides.free
      awaiting.push(waits.awaiting)
      posting.push(waits.posting)
      redundantMs.push(report.redundantMs)
    }
  }
  const checks = await stage.close()
  return { result: { forMs, kills, ...sides }, checks }
}

function spin(forMs: number): void {
  const until = performance.now() + forMs
  while (performance.now() < until);
}

const HEAD = ['main thread', 'of each kill', 'median ms', 'max ms']

export function describeBlocked({ forMs, kills, free, blocked }: BlockedResult): string {
  const rows = (thread: string, side: BlockedSide): string[][] => [
    [thread, 'longest wait, await write', ...spread(side.awaiting)],
    [thread, 'longest wait, posting on', ...spread(side.posting)],
    [thread, 'until redundant', ...spread(side.redundantMs)]
  ]
  const head = `\n  A component exits, and for ${forMs} ms the main thread is free or in a loop: ${kills} of each in turns\n\n`
  return head + table(HEAD, [...rows('free', free), ...rows('blocked', blocked)], 2)
}

function spread(values: readonly number[]): string[] {
  return [median(values).toFixed(2), Math.max(...values).toFixed(2)]
}

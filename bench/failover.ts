/**
 * Components die, and others take over: how long until everything is redundant again, and what sources notice.
 */
import type { Check } from './checks.ts'
import { withCompiledThreads } from './compiled-threads.ts'
import { type BareFailoverResult, describeBareFailover, measureBareFailover } from './failover/bare-failover.ts'
import {
  type BlockedResult,
  describeBlocked,
  longestBlockedMs,
  measureBlockedHost,
  WANTED_BLOCKED_MS
} from './failover/blocked-host.ts'
import {
  describeFullMemory,
  type FullMemoryResult,
  fullMemorySettings,
  measureFullMemory
} from './failover/full-memory.ts'
import {
  describeKills,
  type KillsResult,
  killsSettings,
  measureKills,
  milliseconds,
  WANTED_KILL,
  WANTED_WAIT_RATIO
} from './failover/kills.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'

const TOPOLOGY = `
      source 'awaiting' (thread)  await write    --ring-->  component 0 .. 3 (threads) <--links--> each other
      source 'posting' (thread)   write, write.. --ring-->      |        ^
                                                                |        | its slot, its volumes, its updates
      16 volumes, each component holds 8 MiB unsecured;         v        |
      a set without end, 'discard'                            killed   spare (warm thread)

  Its memory is overwritten when it is dead. The next one is killed when four work again and a spare is warm.
`

export interface FailoverResult {
  readonly kills: KillsResult[]
  /** Beside the first of them. */
  readonly bare: BareFailoverResult
  readonly blocked: BlockedResult
  readonly fullMemory: FullMemoryResult[]
}

export const FAILOVER: Suite<FailoverResult> = {
  name: 'failover',
  about: 'components of a group are killed under load: until redundant again, and how long sources wait',
  topology: TOPOLOGY,
  run: (settings) => withCompiledThreads(() => benchFailover(settings)),
  disturbances: ({ kills }) => kills,
  verdicts: failoverVerdicts
}

async function benchFailover({ quick, print }: SuiteSettings): Promise<{ result: FailoverResult; checks: Check[] }> {
  const checks: Check[] = []
  const kills: KillsResult[] = []
  // Right before the row that it is beside: a shared machine is not as fast at any time.
  const bare = await measureBareFailover(quick)
  for (const setting of killsSettings(quick)) {
    const measured = await measureKills(setting)
    kills.push(measured.result)
    checks.push(...measured.checks)
    print(describeKills(measured.result))
  }
  print(describeBareFailover(bare, kills))
  const blocked = await measureBlockedHost(quick)
  checks.push(...blocked.checks)
  print(describeBlocked(blocked.result))
  const fullMemory: FullMemoryResult[] = []
  for (const setting of fullMemorySettings(quick)) {
    const measured = await measureFullMemory(setting)
    fullMemory.push(measured.result)
    checks.push(...measured.checks)
  }
  print('\n  Memory nearly full at each kill: two sources post 4 to 900 B to 16 volumes as fast as there is room\n\n')
  print(describeFullMemory(fullMemory))
  return { result: { kills, bare, blocked: blocked.result, fullMemory }, checks }
}

function failoverVerdicts({ kills, blocked }: FailoverResult): Verdict[] {
  const [first] = kills
  if (first === undefined) return []
  const { p50Ms, p99Ms } = WANTED_KILL
  const above = kills.reduce((sum, { waitRatio }) => sum + waitRatio.above, 0)
  const atMost = (what: string, us: number, wantedMs: number): Verdict => ({
    what,
    found: `${milliseconds(us)} ms`,
    wanted: `at most ${wantedMs}`,
    isMet: us <= wantedMs * 1000
  })
  return [
    atMost('4 KiB, terminate, spare: redundant, p50', first.redundant.p50, p50Ms),
    atMost('4 KiB, terminate, spare: redundant, p99', first.redundant.p99, p99Ms),
    {
      what: `kills in which a source waited more than ${WANTED_WAIT_RATIO} times as long as until redundant`,
      found: String(above),
      wanted: '0',
      isMet: above === 0
    },
    atMost(
      'longest wait of a source while the main thread is blocked',
      longestBlockedMs(blocked) * 1000,
      WANTED_BLOCKED_MS
    )
  ]
}

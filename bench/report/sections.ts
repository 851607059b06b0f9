/** Which suites have charts. */
import { tablesOf } from './any-suite.ts'
import type { ChartedSuite, Section } from './section.ts'
import { DRAIN_SECTION } from './suites/drain.ts'
import { FAILOVER_SECTION } from './suites/failover.ts'
import { GROUP_SECTION } from './suites/group.ts'
import { LATENCY_SECTION } from './suites/latency.ts'
import { PEERS_SECTION } from './suites/peers.ts'
import { RING_SECTION } from './suites/ring.ts'
import { VARIATIONS_SECTION } from './suites/variations.ts'

const CHARTED: readonly ChartedSuite[] = [
  RING_SECTION,
  GROUP_SECTION,
  LATENCY_SECTION,
  VARIATIONS_SECTION,
  PEERS_SECTION,
  DRAIN_SECTION,
  FAILOVER_SECTION
]

export function sectionOf(suite: string, result: unknown): Section {
  if (Array.isArray(result) && result.length === 0) return { charts: [], figures: [], note: 'Nothing was measured.' }
  const charted = CHARTED.find((one) => one.suite.name === suite)
  if (charted === undefined) return { charts: [], figures: tablesOf(suite, result) }
  try {
    return charted.section(result)
  } catch (error) {
    // A file of another version of the suite has other fields. They are shown all the same.
    if (!(error instanceof TypeError)) throw error
    return { charts: [], figures: tablesOf(suite, result), note: `No charts: ${error.message}` }
  }
}

import { DRAIN } from './drain.ts'
import { FAILOVER } from './failover.ts'
import { GROUP } from './group.ts'
import { IDLE } from './idle.ts'
import { LATENCY } from './latency-suite.ts'
import { MEMORY } from './memory.ts'
import { PEERS_SUITE } from './peers.ts'
import { RING } from './ring.ts'
import type { Suite } from './suite.ts'
import { VARIATIONS_SUITE } from './variations.ts'

/** In the order in which they run, and are reported. */
export const SUITES: readonly Suite[] = [
  RING,
  GROUP,
  LATENCY,
  VARIATIONS_SUITE,
  PEERS_SUITE,
  DRAIN,
  IDLE,
  MEMORY,
  FAILOVER
]

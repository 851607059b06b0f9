import { type ArenaLayout, arenaLayoutOf } from '../memory/arena.ts'
import { type SourceLayout, sourceLayout } from '../memory/source-memory.ts'
import { laneWeight } from '../protocol/members.ts'
import type { ResponsibilityPolicy } from '../protocol/responsibility.ts'
import type { MirrorTarget, Ordering } from '../protocol/setting.ts'
import type { Random } from './random.ts'

/** One world to run: sizes small enough that every limit is met often. */
export interface Scenario {
  readonly members: number
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  readonly ordering: Ordering
  readonly policy: ResponsibilityPolicy
  readonly volumes: number
  readonly volumeBytes: number
  readonly sources: number
  readonly secondaries: number
  readonly arena: ArenaLayout
  readonly linkCapacity: number
  readonly source: SourceLayout
  /** Largest number of parts of a transaction, and of bytes that one may take in an arena. */
  readonly largestTransaction: number
  readonly transactionBytes: number
  /** Data bytes of the largest update. */
  readonly largestUpdate: number
  readonly periodMs: number
  readonly firstSet: number
  /** At an interleaving point another actor runs once in so many times. */
  readonly interleaveOneIn: number
  /** A source does something once in so many of its turns. */
  readonly eagerness: number
  /** A component dies at one in so many of its accesses to shared memory; 0: never. */
  readonly killOneIn: number
}

const CHUNK_SHIFT = 9

export function drawScenario(random: Random): Scenario {
  const members = random.between(2, 5)
  const mirrors = random.chance(2) ? 1 : random.between(1, Math.min(3, members - 1))
  const weight = laneWeight(members, mirrors)
  // From the least that every lane needs to plenty.
  const chunks = weight * (random.chance(2) ? random.between(2, 3) : random.between(3, 12))
  const share = Math.floor(chunks / weight)
  const linkCapacity = random.pick([64, 128, 512])
  return {
    members,
    mirrors,
    mirrorTarget: random.pick(['default', 'spread']),
    ordering: random.pick(['volume-sequence', 'volume-sequence', 'group-sequence', 'timestamp']),
    policy: random.pick(['round-robin', 'balanced']),
    volumes: random.between(1, 6),
    volumeBytes: random.between(1, 160),
    sources: random.between(1, 4),
    secondaries: random.pick([0, 1, 2, 2]),
    arena: arenaLayoutOf(chunks * 2 ** CHUNK_SHIFT, CHUNK_SHIFT),
    linkCapacity,
    source: sourceLayout(random.pick([1024, 2048, 4096])),
    largestTransaction: random.between(2, 6),
    transactionBytes: Math.max(1, share - 1) * 2 ** CHUNK_SHIFT * 0.75,
    largestUpdate: random.between(1, 80),
    periodMs: random.pick([1, 5, 20, 100]),
    // Shared words hold low bits: begin near the places at which they wrap.
    firstSet: random.pick([1, 1000, 2 ** 31 - 3, 2 ** 32 - 3, 2 ** 40 + 2 ** 31 - 2]),
    interleaveOneIn: random.pick([3, 8, 30]),
    eagerness: random.pick([1, 2, 6]),
    killOneIn: random.pick([0, 3000, 1000, 300])
  }
}

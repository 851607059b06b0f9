import { type ArenaLayout, arenaLayoutOf } from '../memory/arena.ts'
import { type SourceLayout, sourceLayout } from '../memory/source-memory.ts'
import { laneWeight, transactionChunks } from '../protocol/members.ts'
import type { ResponsibilityPolicy } from '../protocol/responsibility.ts'
import type { Confirm, MirrorTarget, Ordering } from '../protocol/setting.ts'
import type { Random } from './random.ts'

/** One world to run: sizes small enough that every limit is met often. */
export interface Scenario {
  /** Components at the beginning, and slots that there are for more. */
  readonly members: number
  readonly slots: number
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  readonly ordering: Ordering
  readonly policy: ResponsibilityPolicy
  readonly takeover: 'spare' | 'survivors'
  /** Only metadata is mirrored; each source has a range of its own in each volume. */
  readonly metadataOnly: boolean
  readonly volumes: number
  readonly volumeBytes: number
  readonly sources: number
  readonly secondaries: number
  readonly confirm: Confirm
  readonly arena: ArenaLayout
  readonly linkCapacity: number
  readonly source: SourceLayout
  /** Largest number of parts of a transaction, and of bytes that one may take in an arena. */
  readonly largestTransaction: number
  readonly transactionBytes: number
  /** Data bytes of the largest update. */
  readonly largestUpdate: number
  /** Where formed sets wait when memory is short; undefined: there is no spool. */
  readonly spool: { readonly limitBytes: number; readonly eagerBytes: number; readonly afterMs: number } | undefined
  readonly periodMs: number
  readonly firstSet: number
  /** At an interleaving point another actor runs once in so many times; 0: never, everybody in turn. */
  readonly interleaveOneIn: number
  /** A source does something once in so many of its turns. */
  readonly eagerness: number
  readonly faults: FaultRates
}

/** Each happens once in so many times; 0: never. */
export interface FaultRates {
  /** At an access to shared memory: a component dies there. */
  readonly kill: number
  /** At an access: it stands still for long, and is taken for failed or goes on. */
  readonly hang: number
  /** While a view changes, or a component has no free memory, deaths are so many times as likely. */
  readonly killInNeed: number
  /** At an access of a secondary component: it dies there. */
  readonly killSecondary: number
  /** At an access of a secondary component: it stands still for long. */
  readonly stall: number
  /** When something is written at the secondary, or to the spool: the disk has no room. */
  readonly full: number
  /** At a turn of the control thread: a component is added, or leaves. */
  readonly member: number
  /** A warm spare is there once in so many times. */
  readonly spare: number
  /** More may die at once than there are mirrors. */
  readonly beyondMirrors: boolean
  /** Some components and links are slow by this much. */
  readonly slowness: number
}

export const NO_FAULTS: FaultRates = {
  kill: 0,
  hang: 0,
  killInNeed: 1,
  killSecondary: 0,
  stall: 0,
  full: 0,
  member: 0,
  spare: 1,
  beyondMirrors: false,
  slowness: 1
}

const CHUNK_SHIFT = 9

/** The rest follows from it. */
type Drawn = Omit<Scenario, 'metadataOnly' | 'spool' | 'confirm'>

export function drawScenario(random: Random): Scenario {
  const members = random.between(2, 5)
  const slots = members + random.between(1, 2)
  const mirrors = random.chance(2) ? 1 : random.between(1, Math.min(3, members - 1))
  const weight = laneWeight(slots, mirrors)
  // From the least that every lane needs to plenty.
  const chunks = weight * (random.chance(2) ? random.between(2, 3) : random.between(3, 12))
  const linkCapacity = random.pick([64, 128, 512])
  const drawn: Drawn = {
    members,
    slots,
    mirrors,
    mirrorTarget: random.pick(['default', 'spread']),
    ordering: random.pick(['volume-sequence', 'volume-sequence', 'group-sequence', 'timestamp']),
    policy: random.pick(['round-robin', 'balanced']),
    takeover: random.pick(['spare', 'survivors']),
    volumes: random.between(1, 6),
    volumeBytes: random.between(1, 160),
    sources: random.between(1, 4),
    secondaries: random.pick([0, 1, 2, 2]),
    arena: arenaLayoutOf(chunks * 2 ** CHUNK_SHIFT, CHUNK_SHIFT),
    linkCapacity,
    source: sourceLayout(random.pick([1024, 2048, 4096])),
    largestTransaction: random.chance(3) ? random.between(6, 24) : random.between(2, 6),
    transactionBytes: Math.max(1, transactionChunks(chunks, slots, mirrors)) * 2 ** CHUNK_SHIFT * 0.75,
    largestUpdate: random.between(1, 80),
    periodMs: random.pick([1, 5, 20, 100]),
    // Shared words hold low bits: begin near the places at which they wrap.
    firstSet: random.pick([1, 1000, 2 ** 31 - 3, 2 ** 32 - 3, 2 ** 40 + 2 ** 31 - 2]),
    interleaveOneIn: random.pick([3, 8, 30]),
    eagerness: random.pick([1, 2, 6]),
    faults: drawFaults(random)
  }
  const { volumes, volumeBytes, sources, secondaries } = drawn
  const metadataOnly = secondaries > 0 && volumeBytes >= 2 * sources && (volumes + volumeBytes + sources) % 3 === 0
  const spool = drawSpool(drawn)
  const confirm = drawConfirm(drawn)
  if (!metadataOnly) return { ...drawn, metadataOnly, spool, confirm }
  // As in a real group: all that sources have posted finds room while bytes are fetched.
  const spareBytes = 4 * sources * drawn.source.bodyBytes + 256 * 2 ** CHUNK_SHIFT
  const arena = arenaLayoutOf(chunks * 2 ** CHUNK_SHIFT, CHUNK_SHIFT, spareBytes)
  return { ...drawn, metadataOnly, spool, confirm, arena }
}

/** In every second world with a secondary; now and then it is small. */
function drawSpool({ members, volumes, volumeBytes, sources, secondaries }: Drawn) {
  if (secondaries === 0 || (members + volumes + sources) % 2 === 1) return undefined
  const limitBytes = volumeBytes % 4 === 0 ? 12_000 : 2 ** 40
  return { limitBytes, eagerBytes: volumeBytes % 5 === 0 ? 0 : 2000, afterMs: volumeBytes % 3 }
}

function drawConfirm({ volumes, volumeBytes, sources, slots }: Drawn): Confirm {
  return (volumes + 2 * volumeBytes + sources + slots) % 3 === 0 ? 'mirrored' : 'journaled'
}

/** A small world without chance: three components in their turns, a spare slot, one mirror, and whatever `changes` says. */
export function fixedScenario(changes: Partial<Scenario> = {}): Scenario {
  const { slots = 4, mirrors = 1 } = changes
  return {
    members: 3,
    slots,
    mirrors,
    mirrorTarget: 'default',
    ordering: 'volume-sequence',
    policy: 'round-robin',
    takeover: 'spare',
    metadataOnly: false,
    volumes: 2,
    volumeBytes: 16,
    sources: 1,
    secondaries: 1,
    confirm: 'journaled',
    spool: undefined,
    arena: arenaLayoutOf(laneWeight(slots, mirrors) * 3 * 2 ** CHUNK_SHIFT, CHUNK_SHIFT),
    linkCapacity: 64,
    source: sourceLayout(1024),
    largestTransaction: 2,
    transactionBytes: 2 ** CHUNK_SHIFT * 0.75,
    largestUpdate: 8,
    periodMs: 20,
    firstSet: 1,
    interleaveOneIn: 0,
    eagerness: 1,
    faults: NO_FAULTS,
    ...changes
  }
}

function drawFaults(random: Random): FaultRates {
  // A world without faults now and then: what only long undisturbed runs meet.
  if (random.chance(5)) return NO_FAULTS
  const kill = random.pick([0, 3000, 1000, 300])
  return {
    kill,
    hang: random.pick([0, 6000, 2000]),
    killInNeed: random.pick([1, 6, 30]),
    killSecondary: random.pick([0, 0, 500, 150]),
    member: random.pick([0, 100, 30]),
    spare: random.pick([1, 2, 4]),
    beyondMirrors: random.chance(6),
    slowness: random.pick([1, 1, 4, 12]),
    stall: random.pick([0, 300, 100]),
    full: random.pick([0, 0, 0, 40])
  }
}

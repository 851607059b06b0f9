import type { GroupOptions } from '../src/index.ts'
import { Random } from '../src/sim/random.ts'
import { cellsOf, ownBegin, volumeBytes } from './areas.ts'
import { KINDS, type Kind } from './kinds.ts'
import type { WriterSetting } from './writer-setting.ts'

/** One round, as its seed decides it. How threads are scheduled is not the seed's: the same seed is the same load, not the same run. */
export interface RoundPlan {
  readonly seed: number
  /** All but the secondary, which needs a directory. */
  readonly options: Omit<GroupOptions, 'secondary' | 'signal'> &
    Required<Pick<GroupOptions, 'components' | 'hangTimeoutMs' | 'spares' | 'mirrors'>>
  /** Secondary components; 0: formed sets are discarded. */
  readonly secondaryComponents: number
  readonly confirm: 'journaled' | 'mirrored'
  /** Undefined: there is no spool. */
  readonly spoolLimitBytes: number | undefined
  /** Kept sets; 0: no history. */
  readonly keptSets: number
  readonly writers: readonly WriterSetting[]
  readonly writeMs: number
  /** Between one act of havoc and the next: from nothing to this. */
  readonly longestPauseMs: number
  /** How long everything is redundant before the next kill, at least. */
  readonly breathMs: number
  readonly kinds: readonly Kind[]
  /** Whether closing the group is what drains it. */
  readonly closeDrains: boolean
  /** Whether writers in threads close their sources themselves. */
  readonly threadsClose: boolean
}

const MIB = 2 ** 20

/** @param kinds  of havoc that may be drawn from */
export function drawPlan(seed: number, kinds: readonly Kind[] = KINDS): RoundPlan {
  const random = new Random(seed)
  const components = random.between(2, 5)
  const mirrors = random.between(1, Math.min(3, components - 1))
  const volumeCount = random.between(1, 12)
  const componentMemoryBytes = random.pick([1, 1, 2, 4, 8, 16]) * MIB
  // A larger one does not fit into every component's share of the smallest memory.
  const largestBytes = random.pick([900, 900, 4000, componentMemoryBytes >= 4 * MIB ? 60_000 : 12_000])
  const ownBytes = Math.max(random.pick([2000, 10_000, 40_000]), largestBytes)
  const mixedWriters = random.between(2, 5)
  const volumes = Array.from({ length: volumeCount }, (_, n) => ({
    name: `volume-${n}`,
    size: volumeBytes(mixedWriters, ownBytes, random.below(5000)),
    ...(random.chance(4) ? { target: `copy-${n}` } : {})
  }))
  const takeovers = kinds.includes('survivors') ? (['spare', 'survivors'] as const) : (['spare'] as const)
  const secondaryComponents = random.chance(6) ? 0 : random.between(1, 3)
  const options = {
    volumes,
    components,
    spares: random.between(0, 2),
    takeover: random.pick(takeovers),
    mirrors,
    mirrorTarget: random.pick(['default', 'spread'] as const),
    ordering: random.pick(['volume-sequence', 'group-sequence', 'timestamp'] as const),
    responsibility: random.pick(['round-robin', 'balanced'] as const),
    formationPeriodMs: random.pick([2, 5, 10, 20, 50, 100, 200]),
    componentMemoryBytes,
    hangTimeoutMs: random.between(200, 500)
  }
  return {
    seed,
    options,
    secondaryComponents,
    writers: drawWriters(random, {
      mixedWriters,
      ownBytes,
      largestBytes,
      mirrors,
      components,
      volumes: volumes.map(({ name }) => name)
    }),
    writeMs: random.between(1500, 4000),
    longestPauseMs: random.pick([5, 20, 60, 200]),
    breathMs: random.pick([0, 10, 50, 200]),
    kinds,
    closeDrains: random.chance(3),
    threadsClose: random.chance(2),
    ...drawSecondary(random, secondaryComponents, kinds)
  }
}

function drawSecondary(random: Random, components: number, kinds: readonly Kind[]) {
  const may = (kind: Kind): boolean => components > 0 && kinds.includes(kind) && random.chance(2)
  return {
    confirm: random.pick(['journaled', 'mirrored'] as const),
    spoolLimitBytes: may('spool') ? random.pick([1, 8, 1024]) * MIB : undefined,
    keptSets: may('restore') ? random.pick([1, 20, 500]) : 0
  }
}

interface WritersFrame {
  readonly mixedWriters: number
  readonly ownBytes: number
  readonly largestBytes: number
  readonly mirrors: number
  readonly components: number
  readonly volumes: readonly string[]
}

/** At least one of each kind; some in threads of their own, a third of the mixed ones for sure. */
function drawWriters(random: Random, frame: WritersFrame): WriterSetting[] {
  const { mixedWriters, ownBytes, largestBytes, mirrors, components, volumes } = frame
  const counters = random.between(1, 2)
  const transactions = random.between(1, 2)
  const kindOf = (n: number): WriterSetting['kind'] => {
    if (n < mixedWriters) return 'mixed'
    return n < mixedWriters + counters ? 'counter' : 'transaction'
  }
  let threads = 0
  return Array.from({ length: mixedWriters + counters + transactions }, (_, index) => {
    const kind = kindOf(index)
    // A round has few cores: so many threads say as much as more would.
    const inThread = threads < 3 && (index === 1 || random.chance(3))
    if (inThread) threads++
    return {
      index,
      name: `${kind}-${index}`,
      kind,
      inThread,
      seed: random.bits(),
      mirrors,
      volumes,
      cells: kind === 'mixed' ? [] : cellsOf(index, volumes.length),
      ownBegin: kind === 'mixed' ? ownBegin(index, ownBytes) : 0,
      ownBytes: kind === 'mixed' ? ownBytes : 0,
      largestBytes,
      component: random.chance(2) ? random.below(components) : undefined,
      ringBytes: random.pick([64 * 1024, 256 * 1024, 4 * MIB])
    }
  })
}

export function describePlan(plan: RoundPlan): string {
  const { volumes, ...options } = plan.options
  const { secondaryComponents, confirm, spoolLimitBytes, keptSets } = plan
  const counted = { ...options, volumes: volumes.length, secondaryComponents, confirm, spoolLimitBytes, keptSets }
  const writers = plan.writers.map(({ name, inThread }) => (inThread ? `${name} (thread)` : name))
  const said = Object.entries(counted)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
  return `${said.join(', ')}; writers ${writers.join(', ')}; ${plan.writeMs} ms, pauses up to ${plan.longestPauseMs} ms, breath ${plan.breathMs} ms`
}

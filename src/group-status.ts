import type { TidemarkError } from './errors.ts'
import type { GroupLatencies } from './latencies.ts'
import { type Board, STAT_HELD_BYTES, STAT_HELD_UPDATES, STAT_TAKEN } from './memory/board.ts'
import type { PressureView } from './pressure-view.ts'
import { type GroupMemory, openTables } from './runtime/group-memory.ts'
import type { SetPositions, SetRecord } from './runtime/messages.ts'
import type { GroupStatus, VolumeOptions } from './types.ts'

export interface Suspension {
  readonly error: TidemarkError
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

export interface StatusView {
  readonly state: GroupStatus['state']
  readonly suspension: Suspension | undefined
  readonly positions: SetPositions
  readonly memory: GroupMemory
  readonly board: Board
  readonly volumes: readonly VolumeOptions[]
  readonly lastApplied: SetRecord | undefined
  readonly latencies: GroupLatencies
  /** Identifiers of warm spares. */
  readonly spares: readonly number[]
  readonly pressure: PressureView
}

/** Where the group stands, as its shared memory tells at this moment. */
export function readStatus(view: StatusView): GroupStatus {
  const { board, suspension, lastApplied, volumes } = view
  const forming = board.loadForming()
  const responsibility = board.responsibilityIn(forming)
  const tables = openTables(view.memory)
  const components = componentsOf(view, responsibility)
  // One that has just taken a place is heard of later than it is seen there.
  const spares = view.spares.filter((id) => components.every((component) => component.id !== id))
  return {
    state: view.state,
    ...(suspension === undefined ? {} : { suspension: describe(suspension) }),
    view: (board.loadView() >> 2) + 1,
    sets: { ...view.positions },
    pressure: view.pressure.read(),
    lagMs: lastApplied === undefined ? null : Math.max(0, Date.now() - lastApplied.consistencyTime),
    components: [...components, ...spares.map(spare)],
    volumes: volumes.map(({ name, size }, volume) => {
      const responsible = responsibility[volume] as number
      const table = tables[responsible]?.at(forming)
      return {
        name,
        size,
        responsible: board.loadIdentity(responsible),
        sequence: table?.set === forming ? table.highestOf(volume) : 0
      }
    }),
    latency: view.latencies.read()
  }
}

type ComponentStatus = GroupStatus['components'][number]

function componentsOf({ board, volumes }: StatusView, responsibility: Uint8Array): ComponentStatus[] {
  const components: ComponentStatus[] = []
  for (const [slot, statistics] of board.statistics.entries()) {
    const state = board.loadShown(slot)
    if (state === 'empty') continue
    components.push({
      id: board.loadIdentity(slot),
      state,
      volumes: volumes.filter((_, volume) => responsibility[volume] === slot).map(({ name }) => name),
      heldUpdates: statistics[STAT_HELD_UPDATES] as number,
      heldBytes: statistics[STAT_HELD_BYTES] as number,
      takenUpdates: statistics[STAT_TAKEN] as number
    })
  }
  return components.sort((a, b) => a.id - b.id)
}

function spare(id: number): ComponentStatus {
  return { id, state: 'spare', volumes: [], heldUpdates: 0, heldBytes: 0, takenUpdates: 0 }
}

function describe(suspension: Suspension): NonNullable<GroupStatus['suspension']> {
  const { code, details } = suspension.error
  const { volumes = [], sets = [] } = details as { volumes?: string[]; sets?: number[] }
  return { code, sinceMs: Date.now() - suspension.atMs, volumes, sets }
}

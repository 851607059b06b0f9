import type { TidemarkError } from './errors.ts'
import type { GroupLatencies } from './latencies.ts'
import { type Board, STAT_HELD_BYTES, STAT_HELD_UPDATES, STAT_TAKEN } from './memory/board.ts'
import { SET_WINDOW_MASK } from './memory/source-memory.ts'
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
  readonly view: number
}

/** Where the group stands, as its shared memory tells at this moment. */
export function readStatus(view: StatusView): GroupStatus {
  const { board, suspension, lastApplied, volumes } = view
  const forming = board.loadForming()
  const responsibility = board.responsibility[forming & SET_WINDOW_MASK] as Uint8Array
  const tables = openTables(view.memory)
  return {
    state: view.state,
    ...(suspension === undefined ? {} : { suspension: describe(suspension) }),
    view: view.view,
    sets: { ...view.positions },
    lagMs: lastApplied === undefined ? null : Math.max(0, Date.now() - lastApplied.consistencyTime),
    components: board.statistics.map((statistics, id) => ({
      id,
      state: 'active' as const,
      volumes: volumes.filter((_, volume) => responsibility[volume] === id).map(({ name }) => name),
      heldUpdates: statistics[STAT_HELD_UPDATES] as number,
      heldBytes: statistics[STAT_HELD_BYTES] as number,
      takenUpdates: statistics[STAT_TAKEN] as number
    })),
    volumes: volumes.map(({ name, size }, volume) => {
      const responsible = responsibility[volume] as number
      const table = tables[responsible]?.at(forming)
      return { name, size, responsible, sequence: table?.set === forming ? table.highestOf(volume) : 0 }
    }),
    latency: view.latencies.read()
  }
}

function describe(suspension: Suspension): NonNullable<GroupStatus['suspension']> {
  return { code: suspension.error.code, sinceMs: Date.now() - suspension.atMs, volumes: [], sets: [] }
}

import type { Arena } from '../memory/arena.ts'
import type { Board } from '../memory/board.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { SetTables } from '../memory/set-tables.ts'
import type { Place, Surroundings } from '../protocol/setting.ts'
import { openLink } from './group-memory.ts'
import type { ComponentTask } from './messages.ts'

/**
 * What a component works with, in the memory that its thread was given. Made here alone, also for rehearsals: objects of
 * another shape would have the engine throw away the code that was compiled for these.
 */
export function openPlace(
  task: Omit<ComponentTask, 'port' | 'firstSet'>,
  arenas: readonly (Arena | undefined)[],
  board: Board,
  surroundings: Required<Surroundings>
): Place {
  const { memory, slot, protocol } = task
  const drains = memory.drains.map((buffer) => openLink(memory, buffer))
  return {
    slot,
    mirrors: protocol.mirrors,
    mirrorTarget: protocol.mirrorTarget,
    ordering: protocol.ordering,
    metadataOnly: protocol.metadataOnly,
    volumes: memory.volumes,
    board,
    arenas,
    outgoing: memory.outgoing.map((buffer) => openLink(memory, buffer)),
    incoming: memory.incoming.map((buffer) => openLink(memory, buffer)),
    tables: new SetTables(memory.tables, memory.volumes),
    chunks: new ChunkTable(memory.chunkTable),
    secondaries: drains.slice(0, memory.boardLayout.secondaries),
    spool: drains[memory.boardLayout.secondaries],
    secondaryOf: task.secondaryOf,
    surroundings
  }
}

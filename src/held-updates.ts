import { Arena } from './memory/arena.ts'
import type { Board } from './memory/board.ts'
import { ChunkTable } from './memory/chunk-table.ts'
import { listHeld } from './protocol/held-table.ts'
import { expandSet } from './protocol/set-identifier.ts'
import type { GroupMemory } from './runtime/group-memory.ts'
import type { HeldUpdate, VolumeOptions } from './types.ts'

/** Figure 2B for people: what the component in this slot holds, at most `limit` rows. */
export function heldUpdatesOf(
  memory: GroupMemory,
  board: Board,
  volumes: readonly VolumeOptions[],
  slot: number,
  limit: number
): HeldUpdate[] {
  const buffer = memory.arenas[slot]
  // It is on its way, and has no memory yet.
  if (buffer === undefined) return []
  const arena = new Arena(buffer, memory.arenaLayout)
  const chunks = new ChunkTable(memory.chunkTables[slot] as SharedArrayBuffer)
  const id = (holder: number): number => board.loadIdentity(holder)
  return listHeld({ slot, arena, chunks, board }, limit).map((held) => {
    const { name, target = name } = volumes[held.volume] as VolumeOptions
    return {
      ...held,
      volume: name,
      target,
      set: expandSet(held.set, board.loadNear()),
      responsible: id(held.responsible),
      mirroredTo: held.mirroredTo.map(id),
      mirroredFrom: held.mirroredFrom === null ? null : id(held.mirroredFrom)
    }
  })
}

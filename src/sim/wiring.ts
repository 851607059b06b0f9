import { Arena } from '../memory/arena.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { type Link, linkBytes } from '../memory/link.ts'
import { SetTables, setTablesBytes } from '../memory/set-tables.ts'
import type { Place, Surroundings } from '../protocol/setting.ts'
import { type Interleaving, type SimBoard, SimLink } from './instrumented.ts'
import type { Scenario } from './scenario.ts'

/** The memory of a group, and each component's place in it. */
export interface Wiring {
  readonly places: readonly Place[]
  readonly arenas: readonly Arena[]
  readonly tables: readonly SetTables[]
  /** By slot and secondary component; the last one leads to the spool. */
  readonly drains: readonly (readonly Link[])[]
}

/** @param slowness  drawn for each link */
export function wire(
  scenario: Scenario,
  board: SimBoard,
  interleaving: Interleaving,
  surroundings: Surroundings,
  slowness: () => number
): Wiring {
  const { slots, secondaries, volumes, linkCapacity } = scenario
  const each = <T>(make: (slot: number) => T): T[] => Array.from({ length: slots }, (_, slot) => make(slot))
  const link = (): Link =>
    new SimLink(new SharedArrayBuffer(linkBytes(linkCapacity)), linkCapacity, interleaving, slowness())
  const arenas = each(() => new Arena(Arena.allocate(scenario.arena), scenario.arena))
  const links = each(() => each(link))
  const drains = each(() => Array.from({ length: secondaries + (scenario.spool === undefined ? 0 : 1) }, link))
  const tables = each(() => new SetTables(new SharedArrayBuffer(setTablesBytes(volumes)), volumes))
  const places = each(
    (slot): Place => ({
      slot,
      mirrors: scenario.mirrors,
      mirrorTarget: scenario.mirrorTarget,
      ordering: scenario.ordering,
      volumes,
      board,
      arenas,
      outgoing: links[slot] as Link[],
      incoming: links.map((row) => row[slot] as Link),
      tables: tables[slot] as SetTables,
      chunks: new ChunkTable(ChunkTable.allocate(scenario.arena.chunks + scenario.arena.spareChunks)),
      secondaries: (drains[slot] as Link[]).slice(0, secondaries),
      spool: drains[slot]?.[secondaries],
      metadataOnly: scenario.metadataOnly,
      secondaryOf: Uint8Array.from({ length: volumes }, (_unused, volume) => volume % Math.max(1, secondaries)),
      surroundings
    })
  )
  return { places, arenas, tables, drains }
}

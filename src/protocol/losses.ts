import type { Board } from '../memory/board.ts'
import type { SetTables } from '../memory/set-tables.ts'
import {
  acknowledgedTo,
  type CountedSource,
  LossError,
  type ManifestSum,
  sumManifests,
  volumesThatLost
} from './conservation.ts'
import { assert } from './setting.ts'

export interface LossesSetting {
  readonly board: Board
  /** By slot. */
  readonly tables: readonly SetTables[]
  readonly sources: ReadonlySet<CountedSource>
  members(): readonly number[]
  forming(): number
}

/** Finds what was lost with components that died: acknowledged, and held by no responsible one; in which sets and volumes. */
export class Losses {
  private readonly setting: LossesSetting
  /** By unsecured set: volumes for which a component was responsible that has died since a view stood. */
  private readonly suspects = new Map<number, Set<number>>()

  constructor(setting: LossesSetting) {
    this.setting = setting
  }

  /** The component in this slot has died. @param from, to  the unsecured sets */
  suspect(slot: number, from: number, to: number): void {
    for (let set = from; set <= to; set++) {
      const volumes = this.suspects.get(set) ?? new Set<number>()
      this.suspects.set(set, volumes)
      const table = this.setting.board.responsibilityIn(set)
      for (const [volume, responsible] of table.entries()) if (responsible === slot) volumes.add(volume)
    }
  }

  /** A view stands: nothing was lost. */
  clear(): void {
    this.suspects.clear()
  }

  /** @throws LossError */
  check(set: number, loads: Float64Array): ManifestSum {
    const held = this.sum(set, loads)
    const loss = this.of(set, held)
    if (loss !== undefined) throw loss
    return held
  }

  /** What is lost of this set; undefined when nothing is. */
  of(set: number, held = this.sum(set)): LossError | undefined {
    const { board, sources, tables, members, forming } = this.setting
    let updates = 0
    let names = 0
    for (const source of sources) {
      const tally = acknowledgedTo(source, set | 0, forming() | 0)
      updates += tally.updates
      names = (names + tally.names) | 0
    }
    if (updates === held.updates && names === held.names) return undefined
    const known = volumesThatLost(sources, tables, members(), set | 0, forming() | 0, board.layout.volumes)
    return new LossError([set], known ?? [...(this.suspects.get(set) ?? [])], updates, held.updates)
  }

  private sum(set: number, loads?: Float64Array): ManifestSum {
    const { board, tables, members } = this.setting
    const responsibility = board.responsibilityIn(set)
    const held = sumManifests(tables, members(), set | 0, responsibility, loads)
    assert(held.misplaced < 0, `volume ${held.misplaced} has a second responsible component in set ${set}`)
    return held
  }
}

import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import path from 'node:path'
import { type BackupGroup, openSecondary } from '../src/index.ts'
import type { Random } from '../src/sim/random.ts'
import { CELLS_PER_WRITER, SHARED_BEGIN, SHARED_BYTES } from './areas.ts'
import { checkCounter, type Observation, readCell } from './model.ts'
import type { RoundPlan } from './plan.ts'
import { Violation } from './violation.ts'

/** The secondary volumes of a round, read as files. */
export class Copies {
  readonly observations: Observation[] = []
  private readonly directory: string
  private readonly plan: RoundPlan

  constructor(directory: string, plan: RoundPlan) {
    this.directory = directory
    this.plan = plan
  }

  /** Looks into the applied set while the group holds it: cells of all counters, one volume's shared area. */
  async lookHeld(group: BackupGroup, random: Random, signal: AbortSignal): Promise<void> {
    using hold = await group.holdApplied({ signal })
    const { set } = hold.report
    const volume = random.below(this.plan.options.volumes.length)
    const shared = new Uint8Array(SHARED_BYTES)
    const heads = this.plan.options.volumes.map((_, n) => {
      const fd = openSync(this.pathOf(n), 'r')
      try {
        const head = new Uint8Array(SHARED_BEGIN)
        readSync(fd, head, 0, head.length, 0)
        if (n === volume) readSync(fd, shared, 0, shared.length, SHARED_BEGIN)
        return head
      } finally {
        closeSync(fd)
      }
    })
    const counts = new Map<number, number[]>()
    for (const writer of this.plan.writers) {
      if (writer.cells.length !== CELLS_PER_WRITER) continue
      const values = writer.cells.map((cell) => readCell(heads[cell.volume] as Uint8Array, cell))
      checkCounter(writer, set, values)
      counts.set(writer.index, values)
    }
    this.observations.push({ set, counts, volume, shared })
  }

  /** After the group is closed: everything secured is applied, nothing is left to do, and these are the images. */
  async readFinal(lowestSet: number): Promise<Buffer[]> {
    await using secondary = await openSecondary(this.directory, { readOnly: true })
    const { clean, appliedSet, securedSet, applying, volumes } = await secondary.inspect()
    const wrong = (what: string): never => {
      throw new Violation(
        `the secondary ${what} after the group was closed: applied ${appliedSet}, secured ${securedSet}`
      )
    }
    if (!clean) wrong('is not clean')
    if (applying !== null || appliedSet !== securedSet) wrong('has unapplied sets')
    if (appliedSet < lowestSet) wrong(`lacks set ${lowestSet}`)
    const verified = await secondary.verify()
    if (!verified.ok) wrong(`differs from its own checksums, ${JSON.stringify(verified)},`)
    return this.plan.options.volumes.map(({ name, target = name }) => {
      const found = volumes.find((volume) => volume.name === target)
      return readFileSync(found?.path ?? wrong(`does not know volume ${target}`))
    })
  }

  private pathOf(volume: number): string {
    const options = this.plan.options.volumes[volume]
    return path.join(this.directory, 'volumes', `${options?.target ?? options?.name}.img`)
  }
}

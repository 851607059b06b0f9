import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { type BackupGroup, openSecondary, TidemarkError } from '../src/index.ts'
import type { Random } from '../src/sim/random.ts'
import { CELLS_PER_WRITER, SHARED_BEGIN, SHARED_BYTES } from './areas.ts'
import { checkCounter, type Observation, readCell } from './model.ts'
import type { RoundPlan } from './plan.ts'
import { Violation } from './violation.ts'

/** The secondary volumes of a round, read as files. */
export class Copies {
  readonly observations: Observation[] = []
  private readonly directory: string
  private readonly restored: string
  private readonly plan: RoundPlan

  /** @param restored  where kept sets are restored, one after the other */
  constructor(directory: string, restored: string, plan: RoundPlan) {
    this.directory = directory
    this.restored = restored
    this.plan = plan
  }

  /** Looks into the applied set while the group holds it: cells of all counters, one volume's shared area. */
  async lookHeld(group: BackupGroup, random: Random, signal: AbortSignal): Promise<void> {
    using hold = await group.holdApplied({ signal })
    this.look(hold.report.set, path.join(this.directory, 'volumes'), random)
  }

  /** Restores one of the kept sets while the group goes on, and looks into that. False: none is kept yet. */
  async lookRestored(random: Random, signal: AbortSignal): Promise<boolean> {
    await using secondary = await openSecondary(this.directory, { readOnly: true })
    const { history } = await secondary.inspect()
    if (history.length === 0) return false
    const { set } = random.pick(history)
    try {
      const report = await secondary.restore(this.restored, { set, signal })
      if (report.set !== set) throw new Violation(`restoring kept set ${set} gave ${JSON.stringify(report)}`)
      this.look(set, this.restored, random)
    } catch (error) {
      // It was kept when it was drawn, and is not any more.
      if (!(error instanceof TidemarkError && error.details.missing === true)) throw error
      return false
    } finally {
      await rm(this.restored, { recursive: true, force: true })
    }
    return true
  }

  /** @param images  where the images of that set are */
  private look(set: number, images: string, random: Random): void {
    const volume = random.below(this.plan.options.volumes.length)
    const shared = new Uint8Array(SHARED_BYTES)
    const heads = this.plan.options.volumes.map((_, n) => {
      const fd = openSync(path.join(images, this.fileOf(n)), 'r')
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

  private fileOf(volume: number): string {
    const options = this.plan.options.volumes[volume]
    return `${options?.target ?? options?.name}.img`
  }
}

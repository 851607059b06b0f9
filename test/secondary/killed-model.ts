import fs from 'node:fs'
import path from 'node:path'
import { openSecondary } from '../../src/index.ts'
import { AREA_BYTES, applyStep, BURST, SOURCES, stepOf, VOLUMES } from './killed-updates.ts'

interface Receipt {
  readonly step: number
  readonly set: number
}

/** What the volumes must hold after each of many processes on one directory, and what its sources have been told. */
export class KilledModel {
  /** By source: the last of its steps that is in the volumes. */
  done = SOURCES.map(() => 0)
  /** The last set that anybody was told of, in all rounds before. */
  private lastSet = 0
  private images = VOLUMES.map(({ size }) => new Uint8Array(size))
  private readonly seed: number

  constructor(seed: number) {
    this.seed = seed
  }

  /**
   * A process was killed in this round. Finishes what it left in the directory, and checks it.
   * @returns  how many steps got into the volumes, and whether some that were acknowledged did not
   */
  async check(directory: string, round: number, secured: number, receipts: readonly string[]): Promise<KilledRound> {
    const secondary = await openSecondary(directory)
    const { clean, appliedSet, securedSet, applying } = await secondary.inspect()
    await secondary.close()
    if (!clean || applying !== null || appliedSet !== securedSet) throw new Error('it is not finished')
    if (appliedSet < secured) throw new Error(`set ${appliedSet} is applied, set ${secured} was told secured`)
    const found = VOLUMES.map(({ name }) => fs.readFileSync(path.join(directory, `volumes/${name}.img`)))
    const known = receipts.map(readReceipts)
    this.checkIdentifiers(known, secured, appliedSet)
    const before = this.done
    this.done = SOURCES.map((_, source) => this.stepsIn(found, round, source, known[source] ?? [], appliedSet))
    for (const [volume, image] of this.images.entries()) {
      if (!image.every((byte, at) => byte === found[volume]?.[at]))
        throw new Error(`volume ${volume} holds what nobody wrote`)
    }
    const steps = this.done.reduce((sum, n, source) => sum + n - (before[source] as number), 0)
    return {
      steps,
      hasLost: known.flat().some(({ set }) => set > appliedSet),
      sets: new Set(known.flat().map(({ set }) => set)).size
    }
  }

  /** None comes again, and the sets of a source's steps never decrease. */
  private checkIdentifiers(known: readonly Receipt[][], secured: number, applied: number): void {
    for (const [source, list] of known.entries()) {
      let last = this.lastSet + 1
      for (const { step, set } of list) {
        if (set < last) throw new Error(`step ${step} of ${SOURCES[source]} is in set ${set}, after one of set ${last}`)
        last = set
      }
    }
    this.lastSet = Math.max(this.lastSet, secured, applied, ...known.flat().map(({ set }) => set))
  }

  /** How many steps of this source the volumes hold: all of sets up to the applied one, none of a later one, in its areas nothing else. */
  private stepsIn(
    found: readonly Buffer[],
    round: number,
    source: number,
    known: readonly Receipt[],
    applied: number
  ): number {
    const first = this.done[source] as number
    const certain = known.filter(({ set }) => set <= applied).at(-1)?.step ?? first
    // What comes next was acknowledged in a later set, or what was posted last was not noted any more.
    const isOut = known.some(({ set }) => set > applied)
    for (let n = first + 1; n <= certain; n++) applyStep(this.images, stepOf(this.seed, round, source, n))
    for (let n = certain; n <= (isOut ? certain : certain + BURST); n++) {
      if (n > certain) applyStep(this.images, stepOf(this.seed, round, source, n))
      if (this.images.every((image, volume) => isSameArea(image, found[volume] as Buffer, source))) return n
    }
    const lacking = isOut ? `exactly ${certain}` : `${certain} or up to ${BURST} more`
    throw new Error(`the volumes are not what they were after ${lacking} steps of ${SOURCES[source]} (set ${applied})`)
  }
}

export interface KilledRound {
  readonly steps: number
  readonly sets: number
  readonly hasLost: boolean
}

function isSameArea(image: Uint8Array, found: Buffer, source: number): boolean {
  const [from, to] = [source * AREA_BYTES, (source + 1) * AREA_BYTES]
  return found.compare(image, from, to, from, to) === 0
}

/** The last line may have been cut off. */
function readReceipts(file: string): Receipt[] {
  if (!fs.existsSync(file)) return []
  const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => {
    const [step, set] = line.split(' ').map(Number) as [number, number]
    return { step, set }
  })
}

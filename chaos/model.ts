import { areaOf, CELL_BYTES, type Cell, SHARED_BEGIN, SHARED_BYTES } from './areas.ts'
import { fillPattern } from './pattern.ts'
import { Violation } from './violation.ts'
import type { PlacedUpdate, WriterReport, WriterSetting } from './writer-setting.ts'

/** What was read from the secondary volumes while an applied set was held. */
export interface Observation {
  readonly set: number
  /** By writer that counts, by cell. */
  readonly counts: ReadonlyMap<number, readonly number[]>
  /** One volume's shared area. */
  readonly volume: number
  readonly shared: Uint8Array
}

/**
 * What the secondary volumes must hold, from what writers did and were told. Written without any of the engine's code:
 * per byte the update with the highest (set, sequence) wins, a copy of set s has exactly the updates of sets up to s.
 */
export class Model {
  private readonly settings: readonly WriterSetting[]
  private readonly sizes: readonly number[]
  private readonly mixed: readonly WriterSetting[]
  private readonly reports = new Map<number, WriterReport>()
  private placed: readonly PlacedUpdate[][] = []

  constructor(settings: readonly WriterSetting[], sizes: readonly number[], reports: readonly WriterReport[]) {
    this.settings = settings
    this.sizes = sizes
    this.mixed = settings.filter(({ kind }) => kind === 'mixed')
    for (const report of reports) this.reports.set(report.index, report)
    this.placed = sizes.map((_, volume) => {
      const updates = reports.flatMap(({ shared }) => shared.filter((update) => update.volume === volume))
      return updates.sort((a, b) => a.set - b.set || a.sequence - b.sequence)
    })
  }

  /** Each update of a volume has a place of its own in the order. */
  checkPlaces(): void {
    for (const [volume, updates] of this.placed.entries()) {
      for (let n = 1; n < updates.length; n++) {
        const [a, b] = [updates[n - 1], updates[n]] as [PlacedUpdate, PlacedUpdate]
        if (a.set !== b.set || a.sequence !== b.sequence) continue
        throw new Violation(`two updates of volume ${volume} have the place ${a.set}/${a.sequence}`)
      }
    }
  }

  /** @param images  by volume, whole */
  checkFinal(images: readonly Uint8Array[]): void {
    for (const [volume, size] of this.sizes.entries()) {
      const image = images[volume] as Uint8Array
      if (image.length !== size)
        throw new Violation(`the image of volume ${volume} has ${image.length} bytes, not ${size}`)
      this.compare(volume, 0, image, this.expected(volume), 'the final image')
    }
  }

  checkObservations(observations: readonly Observation[]): void {
    const bySet = [...observations].sort((a, b) => a.set - b.set)
    const areas = this.sizes.map(() => ({ bytes: new Uint8Array(SHARED_BYTES), next: 0 }))
    for (const observation of bySet) {
      this.checkCounts(observation)
      const { set, volume, shared } = observation
      const area = areas[volume] as { bytes: Uint8Array; next: number }
      area.next = this.applyShared(volume, area.bytes, area.next, set)
      this.compare(volume, SHARED_BEGIN, shared, area.bytes, `the copy of set ${set}`)
    }
  }

  private checkCounts({ set, counts }: Observation): void {
    for (const [writer, values] of counts) {
      const sets = this.reports.get(writer)?.cellSets ?? []
      for (const [cell, value] of values.entries()) {
        const expected = countUpTo(sets[cell] ?? [], set)
        if (value === expected) continue
        const whose = `cell ${'ABC'[cell]} of writer ${writer}`
        throw new Violation(
          `the copy of set ${set} has ${value} in ${whose}, not ${expected}, the last of sets up to it`
        )
      }
    }
  }

  private expected(volume: number): Uint8Array {
    const image = new Uint8Array(this.sizes[volume] as number)
    const view = new DataView(image.buffer)
    for (const { index, cells } of this.settings) {
      const sets = this.reports.get(index)?.cellSets ?? []
      for (const [n, cell] of cells.entries()) {
        if (cell.volume === volume && sets[n] !== undefined) view.setFloat64(cell.offset, sets[n].length, true)
      }
    }
    this.applyShared(volume, image.subarray(SHARED_BEGIN, SHARED_BEGIN + SHARED_BYTES), 0, Number.POSITIVE_INFINITY)
    for (const { index, ownBegin } of this.mixed) {
      const own = this.reports.get(index)?.own[volume]
      if (own !== undefined) image.set(own, ownBegin)
    }
    return image
  }

  /** Applies a volume's shared updates from the `from`th on, up to those of `set`; returns where the next ones are. */
  private applyShared(volume: number, area: Uint8Array, from: number, set: number): number {
    const updates = this.placed[volume] as PlacedUpdate[]
    let n = from
    for (; n < updates.length && (updates[n] as PlacedUpdate).set <= set; n++) {
      const { offset, length, word } = updates[n] as PlacedUpdate
      const begin = offset - SHARED_BEGIN
      fillPattern(area.subarray(begin, begin + length), word, offset)
    }
    return n
  }

  private compare(volume: number, begin: number, found: Uint8Array, expected: Uint8Array, what: string): void {
    if (Buffer.compare(found, expected) === 0) return
    const at = expected.findIndex((byte, n) => byte !== found[n])
    let end = at
    let differing = 0
    for (let n = at; n < expected.length; n++) {
      if (expected[n] === found[n]) continue
      differing++
      end = n + 1
    }
    const ownBytes = this.mixed[0]?.ownBytes ?? 1
    const where = areaOf(begin + at, ownBytes, this.mixed.length)
    throw new Violation(
      `${what} of volume ${volume} differs in ${differing} bytes from ${begin + at} to ${begin + end}, first in ${where}: ` +
        `${found[at]} instead of ${expected[at]}`
    )
  }
}

/** The sets do not decrease: how many of them are not after `set`. */
function countUpTo(sets: readonly number[], set: number): number {
  let low = 0
  let high = sets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sets[middle] as number) <= set) low = middle + 1
    else high = middle
  }
  return low
}

/** What a held copy shows of a counter at once, before the receipts of its last numbers are known. */
export function checkCounter(writer: WriterSetting, set: number, values: readonly number[]): void {
  const [a, b, c] = values as [number, number, number]
  const holds = writer.kind === 'transaction' ? a === b && b === c : a >= b && b >= c && c >= a - 1
  if (holds) return
  throw new Violation(`the copy of set ${set} has A=${a} B=${b} C=${c} of ${writer.kind} writer '${writer.name}'`)
}

export function readCell(bytes: Uint8Array, { offset }: Cell): number {
  return new DataView(bytes.buffer, bytes.byteOffset + offset, CELL_BYTES).getFloat64(0, true)
}

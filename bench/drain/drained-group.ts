import { openSecondary, type PrimarySource } from '../../src/index.ts'
import { Random } from '../../src/sim/random.ts'
import type { Check } from '../checks.ts'
import { CountedGroup } from '../failover/counted-group.ts'
import { countRight } from '../failover/images.ts'
import { LastWritten } from './content.ts'
import { randomPlaces } from './places.ts'

const COMPONENTS = 4
const VOLUMES = Array.from({ length: 16 }, (_, n) => `volume-${n}`)
/** All volumes together by one set: places at random lie apart. */
const VOLUMES_BY_SET = 4
/** Sets are closed by the benchmark alone. */
const ENDLESS_PERIOD_MS = 3600_000
/** A component that gets no core for a second, while all posts or the disk is busy, is not to be taken for hung. */
const HANG_TIMEOUT_MS = 60_000
const FILL_BYTES = 65536
const MIB = 2 ** 20
const SEED = 1

/** The updates of one set. */
export interface SetPlan {
  readonly lengthBytes: number
  /** One place after another, all volumes in turn; or at random, so many of them where the set has been before. */
  readonly places: 'in turn' | { readonly overwrites: number }
}

/** Milliseconds since the set was closed, and what it tells of itself. */
export interface Drained {
  readonly formedMs: number
  readonly securedMs: number
  readonly appliedMs: number
  readonly updates: number
  /** Brought into the files. */
  readonly writtenBytes: number
}

/** Bytes of the disk that are needed at most: images, the journal of two sets. */
export function neededBytes(setBytes: number): number {
  return setBytes * (VOLUMES_BY_SET + 3)
}

/** A group with files whose sets are posted whole, then closed: from there on they are nothing but drained. */
export class DrainedGroup {
  readonly group: CountedGroup
  private readonly directory: string
  private readonly setBytes: number
  private readonly volumeBytes: number
  /** One for each component, so that all of them take; a volume is written by one of them only: its order is known. */
  private readonly sources: PrimarySource[]
  private readonly last: LastWritten
  private readonly random = new Random(SEED)
  private turn = 0
  private updates = 0
  private bytes = 0

  static async open(directory: string, setBytes: number): Promise<DrainedGroup> {
    const volumeBytes = (setBytes * VOLUMES_BY_SET) / VOLUMES.length
    const group = await CountedGroup.open('drained group', {
      volumes: VOLUMES.map((name) => ({ name, size: volumeBytes })),
      components: COMPONENTS,
      spares: 0,
      formationPeriodMs: ENDLESS_PERIOD_MS,
      hangTimeoutMs: HANG_TIMEOUT_MS,
      // Four times what one component holds of a set and its mirrors, when all hold the same.
      componentMemoryBytes: Math.max(128 * MIB, 2 * setBytes),
      secondary: { directory, components: 1 }
    })
    return new DrainedGroup(group, directory, setBytes, volumeBytes)
  }

  private constructor(group: CountedGroup, directory: string, setBytes: number, volumeBytes: number) {
    this.group = group
    this.directory = directory
    this.setBytes = setBytes
    this.volumeBytes = volumeBytes
    this.sources = group.active().map(({ id }) => group.group.openSource(`source-${id}`, { component: id }))
    this.last = new LastWritten(VOLUMES.length, volumeBytes)
  }

  /** Writes every byte of all volumes once: no file grows any more, and no memory is touched for the first time. */
  async fill(): Promise<void> {
    for (let set = 0; set < VOLUMES_BY_SET; set++) {
      await this.post({ lengthBytes: FILL_BYTES, places: 'in turn' })
      await this.drain()
    }
  }

  /** All updates of one set, acknowledged when it resolves. Returns how many they are. */
  async post({ lengthBytes, places }: SetPlan): Promise<number> {
    const count = this.setBytes / lengthBytes
    const inTurn = (): Uint32Array => {
      const from = (this.turn++ % VOLUMES_BY_SET) * count
      return Uint32Array.from({ length: count }, (_, n) => from + n)
    }
    const all = count * VOLUMES_BY_SET
    const order = places === 'in turn' ? inTurn() : randomPlaces(this.random, all, count, places.overwrites)
    await this.postAt(lengthBytes, order)
    return count
  }

  /** Closes the set; resolves when it is applied. */
  async drain(): Promise<Drained> {
    const { group } = this
    const began = performance.now()
    const { set } = await group.watched('forming the set', group.group.closeSet())
    const formedMs = performance.now() - began
    await group.watched(`securing set ${set}`, group.group.whenSecured(set))
    const securedMs = performance.now() - began
    const { updates, writtenBytes = 0 } = await group.watched(`applying set ${set}`, group.group.whenApplied(set))
    return { formedMs, securedMs, appliedMs: performance.now() - began, updates, writtenBytes }
  }

  /** Closes the group, and compares what it tells, and every byte of its files. */
  async close(): Promise<Check[]> {
    const { group, updates, bytes } = this
    const checks = await group.checkSets({ updates, bytes })
    await group.close()
    return [...checks, await this.checkImages()]
  }

  private async postAt(lengthBytes: number, places: Uint32Array): Promise<void> {
    const words = new Int32Array(lengthBytes / 4)
    const data = new Uint8Array(words.buffer)
    const writers = VOLUMES.map((name, n) => (this.sources[n % this.sources.length] as PrimarySource).volume(name))
    for (const place of places) {
      const volume = place % writers.length
      const writer = writers[volume] as (typeof writers)[number]
      const offset = Math.floor(place / writers.length) * lengthBytes
      this.last.write(volume, offset, words)
      while (!writer.tryPost(offset, data)) await writer.ready(lengthBytes)
    }
    this.updates += places.length
    this.bytes += places.length * lengthBytes
    await this.group.watched('flushing', Promise.all(this.sources.map((source) => source.flush())))
  }

  private async checkImages(): Promise<Check> {
    await using secondary = await openSecondary(this.directory, { readOnly: true })
    const { volumes } = await secondary.inspect()
    let found = 0
    for (const [n, name] of VOLUMES.entries()) {
      const image = volumes.find((volume) => volume.name === name)?.path ?? ''
      found += await countRight([image], [[this.last.image(n)]], this.volumeBytes)
    }
    const expected = VOLUMES.length * this.volumeBytes
    return { name: `${this.group.name}: bytes of files as last written`, expected, found }
  }
}

import type { PrimarySource } from '../../src/index.ts'
import { recordBytesFor } from '../../src/memory/record.ts'
import type { CountedGroup } from './counted-group.ts'

export interface FillerSetting {
  readonly volumes: readonly string[]
  readonly volumeBytes: number
  readonly lengthBytes: number
  /** That each component is to hold as `status` tells it: mirrors and what belongs to each update included. */
  readonly heldBytes: number
  readonly mirrors: number
}

/** Components hold about as much at each kill, or times could not be compared: how uneven, and how much more in all. */
const UNEVEN_TOLERANCE = 0.2
/** It grows by many small updates of the probes: more of them than of those that are to be held would be another measurement. */
const GROWTH_TOLERANCE = 0.05

/** Puts so many updates into the forming set that each component holds the wanted number of bytes. */
export class Filler {
  private readonly group: CountedGroup
  private readonly setting: FillerSetting
  private readonly sources: PrimarySource[]
  private readonly data: Uint8Array
  posted = 0

  constructor(group: CountedGroup, setting: FillerSetting) {
    this.group = group
    this.setting = setting
    this.data = new Uint8Array(setting.lengthBytes).fill(7)
    // One for each component: all of them take.
    this.sources = group.active().map(({ id }) => group.group.openSource(`filler-${id}`, { component: id }))
  }

  /** Begins another set where what is held has become too uneven or too much. */
  async level(): Promise<void> {
    const { heldBytes } = this.setting
    const held = this.group.active().map((component) => component.heldBytes)
    const isEven = held.every((bytes) => Math.abs(bytes - heldBytes) <= heldBytes * UNEVEN_TOLERANCE)
    const average = held.reduce((sum, bytes) => sum + bytes, 0) / held.length
    if (isEven && average <= heldBytes * (1 + GROWTH_TOLERANCE)) return
    await this.group.closeSet()
    await this.group.watched('filling its components', this.fill())
  }

  private async fill(): Promise<void> {
    const { volumes, volumeBytes, lengthBytes, heldBytes, mirrors } = this.setting
    const { sources, data } = this
    const count = Math.ceil((heldBytes * this.group.components) / (mirrors + 1) / recordBytesFor(lengthBytes))
    const places = Math.floor(volumeBytes / lengthBytes)
    for (let n = 0; n < count; n++) {
      const turn = Math.floor(n / sources.length)
      const source = sources[n % sources.length] as PrimarySource
      const volume = source.volume(volumes[turn % volumes.length] as string)
      const offset = (Math.floor(turn / volumes.length) % places) * lengthBytes
      while (!volume.tryPost(offset, data)) await volume.ready(lengthBytes)
    }
    this.posted += count
    await Promise.all(sources.map((source) => source.flush()))
  }
}

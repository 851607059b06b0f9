import { setTimeout as pause } from 'node:timers/promises'
import type { ViewReport } from '../../src/index.ts'
import type { Check } from '../checks.ts'
import { type ComponentStatus, CountedGroup, type FailureKind } from './counted-group.ts'
import { Filler } from './filler.ts'
import { Probes, type Waits } from './probes.ts'

export interface StageSetting {
  readonly name: string
  /** Of the updates that are held. */
  readonly lengthBytes: number
  /** That each component holds, unsecured, at a kill. */
  readonly heldBytes: number
  readonly componentMemoryBytes: number
  readonly takeover: 'spare' | 'survivors'
  readonly mirrors: number
  readonly hangTimeoutMs?: number
}

/** One kill: what the group says of it, and what its sources noticed. */
export interface KillRecord {
  readonly report: ViewReport
  readonly waits: Waits
  /** What the killed one held. */
  readonly heldBytes: number
}

const COMPONENTS = 4
const SPARES = 1
const VOLUMES = Array.from({ length: 16 }, (_, n) => `volume-${n}`)
const VOLUME_BYTES = 64 * 2 ** 20
/** Sets are closed by the stage alone: what is held stays held. */
const ENDLESS_PERIOD_MS = 3600_000
/** A spare that has just become warm, and whoever made it so, are at rest then. */
export const REST_MS = 20

/** A group with 8 MiB or so in each component, and two sources that go on writing; its components are killed one by one. */
export class KillStage {
  readonly group: CountedGroup
  private readonly setting: StageSetting
  private readonly filler: Filler
  private readonly probes: Probes
  private kills = 0

  static async open(setting: StageSetting): Promise<KillStage> {
    const { name, componentMemoryBytes, takeover, mirrors, hangTimeoutMs } = setting
    const group = await CountedGroup.open(name, {
      volumes: VOLUMES.map((volume) => ({ name: volume, size: VOLUME_BYTES })),
      components: COMPONENTS,
      spares: SPARES,
      takeover,
      mirrors,
      formationPeriodMs: ENDLESS_PERIOD_MS,
      componentMemoryBytes,
      secondary: 'discard',
      ...(hangTimeoutMs === undefined ? {} : { hangTimeoutMs })
    })
    return new KillStage(group, setting)
  }

  private constructor(group: CountedGroup, setting: StageSetting) {
    const { lengthBytes, heldBytes, mirrors } = setting
    this.group = group
    this.setting = setting
    this.filler = new Filler(group, { volumes: VOLUMES, volumeBytes: VOLUME_BYTES, lengthBytes, heldBytes, mirrors })
    this.probes = new Probes(group, VOLUMES)
  }

  /** @param meanwhile  what the host's main thread does from the moment the failure is asked for */
  async kill(how: FailureKind, meanwhile: () => Promise<unknown> = async () => {}): Promise<KillRecord> {
    const { group, probes } = this
    await group.whole()
    await this.filler.level()
    await pause(REST_MS)
    await probes.take()
    const active = group.active()
    const victim = active[this.kills++ % active.length] as ComponentStatus
    const killed = group.kill(victim.id, how)
    await meanwhile()
    const report = await killed
    return { report, waits: await probes.take(), heldBytes: victim.heldBytes }
  }

  /** Closes everything. Whatever was acknowledged was in the sets, or a check fails. */
  async close(): Promise<Check[]> {
    const { group, filler, setting } = this
    const probed = await this.probes.stop()
    await group.whole()
    const checks = await group.checkSets({
      updates: filler.posted + probed,
      bytes: filler.posted * setting.lengthBytes + probed * Probes.lengthBytes
    })
    checks.push({ name: `${group.name}: sets closed for lack of memory`, expected: 0, found: group.setsClosedEarly })
    await group.close()
    return checks
  }
}

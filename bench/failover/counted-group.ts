import { setTimeout as pause } from 'node:timers/promises'
import { failComponent } from '../../src/chaos.ts'
import {
  type BackupGroup,
  type GroupOptions,
  type GroupStatus,
  openGroup,
  type SetReport,
  type ViewReport
} from '../../src/index.ts'
import { type Check, notHung } from '../checks.ts'
import { EarlySets } from '../early-sets.ts'

export type FailureKind = Parameters<typeof failComponent>[2] & string
export type ComponentStatus = GroupStatus['components'][number]

/** A change of view goes through `status` in steps of milliseconds; a spare takes some 50 ms to become warm. */
const LOOK_EVERY_MS = 3

interface CountedOptions {
  readonly components: number
  readonly spares: number
  readonly formationPeriodMs: number
}

/** A group whose components are made to fail, and what its sets say of the updates in them. */
export class CountedGroup {
  readonly name: string
  readonly group: BackupGroup
  readonly components: number
  private readonly spares: number
  /** Over all sets that were applied. */
  private updates = 0
  private bytes = 0
  sets = 0
  private readonly early: EarlySets
  private suspensions = 0
  private rejections = 0

  static async open(name: string, options: GroupOptions & CountedOptions): Promise<CountedGroup> {
    return new CountedGroup(name, await notHung(`${name}: opening the group`, openGroup(options)), options)
  }

  private constructor(name: string, group: BackupGroup, { components, spares, formationPeriodMs }: CountedOptions) {
    this.name = name
    this.group = group
    this.components = components
    this.spares = spares
    group.on('set', (report) => this.count(report))
    this.early = new EarlySets(group, formationPeriodMs)
    // A component that throws is warned of as well: that is what was asked for.
    group.on('warning', ({ code }) => {
      if (code === 'TIDEMARK_FENCED') this.rejections++
    })
    group.on('suspended', () => this.suspensions++)
  }

  get setsClosedEarly(): number {
    return this.early.count
  }

  /** Components that work, the oldest first. */
  active(): ComponentStatus[] {
    return this.group.status().components.filter(({ state }) => state === 'active')
  }

  /** Resolves when every update is held by mirrors+1 components again. */
  kill(id: number, how: FailureKind): Promise<ViewReport> {
    return this.watched(`component ${id}, ${how}`, failComponent(this.group, id, how))
  }

  /** Resolves when as many components work, and as many spares are warm, as at the beginning. */
  whole(): Promise<void> {
    const look = async (): Promise<void> => {
      while (!this.isWhole()) await pause(LOOK_EVERY_MS)
    }
    return this.watched('waiting for a warm spare', look())
  }

  async closeSet(): Promise<void> {
    const { set } = await this.watched('closing a set', this.group.closeSet())
    await this.watched(`applying set ${set}`, this.group.whenApplied(set))
  }

  /** Closes the last set: whatever was acknowledged must be in the sets. */
  async checkSets(posted: { readonly updates: number; readonly bytes: number }): Promise<Check[]> {
    await this.closeSet()
    return [
      { name: `${this.name}: updates in applied sets`, expected: posted.updates, found: this.updates },
      { name: `${this.name}: bytes in applied sets`, expected: posted.bytes, found: this.bytes },
      { name: `${this.name}: suspensions`, expected: 0, found: this.suspensions },
      { name: `${this.name}: warnings of rejected updates`, expected: 0, found: this.rejections }
    ]
  }

  async close(): Promise<void> {
    await this.watched('closing the group', this.group.close())
  }

  watched<T>(what: string, promise: Promise<T>): Promise<T> {
    return notHung(`${this.name}: ${what}`, promise, () => this.group.status())
  }

  private isWhole(): boolean {
    const { state, components } = this.group.status()
    if (state === 'suspended' || state === 'closed') throw new Error(`${this.name}: the group is ${state}`)
    const count = (wanted: ComponentStatus['state']): number =>
      components.filter((component) => component.state === wanted).length
    return count('active') === this.components && count('spare') === this.spares
  }

  private count(report: SetReport): void {
    if (report.state !== 'applied') return
    this.sets++
    this.updates += report.updates
    this.bytes += report.bytes
  }
}

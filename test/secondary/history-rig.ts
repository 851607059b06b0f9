import fs from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, vi } from 'vitest'
import type { DirectoryOptions } from '../../src/secondary/directory.ts'
import { type Layout, layoutOf } from '../../src/secondary/format.ts'
import { restoreSet } from '../../src/secondary/restore-set.ts'
import type { RestoreOptions, SetReport } from '../../src/types.ts'
import { bytesOf, Rig, temporaryDirectory } from './support.ts'

/** Nothing is really synced: it would only cost time. */
export function withoutSyncing(): void {
  beforeEach(stopSyncing)
  afterEach(() => {
    vi.restoreAllMocks()
  })
}

export function stopSyncing(): void {
  for (const sync of ['fsyncSync', 'fdatasyncSync'] as const) vi.spyOn(fs, sync).mockImplementation(() => {})
}

export interface Change {
  readonly volume: number
  readonly offset: number
  readonly length: number
  /** 0: zeros. */
  readonly fill: number
}

export interface Restored {
  readonly report: SetReport
  readonly volumes: Buffer[]
}

/** A secondary with history, and what its volumes held after each set. */
export class HistoryRig {
  readonly layout: Layout
  /** By set. */
  readonly models = new Map<number, Buffer[]>()
  rig: Rig
  private readonly options: Partial<DirectoryOptions> & { directory: string }
  private newest: Buffer[]

  constructor(options: Partial<DirectoryOptions> = {}) {
    this.options = { directory: temporaryDirectory(), history: { sets: 1000 }, ...options }
    this.layout = layoutOf(this.options.directory)
    this.rig = new Rig(this.options)
    this.newest = this.rig.directory.volumes.map(({ size }) => Buffer.alloc(size))
    this.models.set(0, this.newest)
  }

  /** Journaled, by all components. Several before one `commit` are secured as one. */
  receive(set: number, changes: readonly Change[]): void {
    const { rig } = this
    const volumes = this.newest.map((bytes) => Buffer.from(bytes))
    rig.begin(set)
    for (const [n, { volume, offset, length, fill }] of changes.entries()) {
      volumes[volume]?.fill(fill, offset, offset + length)
      if (fill === 0) rig.zero(set, volume, n + 1, offset, length)
      else rig.write(set, volume, n + 1, offset, bytesOf(length, fill))
    }
    rig.sync()
    this.newest = volumes
    this.models.set(set, volumes)
  }

  secure(set: number, changes: readonly Change[], label?: string): void {
    this.receive(set, changes)
    this.rig.commit(set, changes.length, label)
  }

  apply(set: number, changes: readonly Change[], label?: string): void {
    this.secure(set, changes, label)
    this.rig.apply(set)
  }

  reopen(options: Partial<DirectoryOptions> = {}): void {
    this.rig.close()
    this.rig = new Rig({ ...this.options, ...options })
  }

  /** It was killed. */
  reopenAfterCrash(options: Partial<DirectoryOptions> = {}): void {
    this.rig = new Rig({ ...this.options, ...options })
  }

  /** The first one that can be received after it was opened. */
  get nextSet(): number {
    return this.rig.directory.lastSet + 1
  }

  async restore(options: RestoreOptions = {}): Promise<Restored> {
    const to = path.join(temporaryDirectory(), 'copy')
    const report = await restoreSet(this.layout, to, options)
    return { report, volumes: this.read(to) }
  }

  read(to: string): Buffer[] {
    const { format } = this.rig.directory
    return format.volumes.map(({ target }) => fs.readFileSync(path.join(to, `${target}.img`)))
  }

  /** Whether a copy is the state after this set, in all volumes. */
  isModel(set: number, { volumes }: { volumes: readonly Buffer[] }): boolean {
    const model = this.models.get(set)
    return model?.every((bytes, n) => volumes[n]?.equals(bytes) === true) === true
  }

  /** Sets of which there is undo. */
  undoSets(): number[] {
    const names = fs.readdirSync(this.layout.history)
    const sets = names.map((name) => Number(/^\d+-(\d+)\.undo$/.exec(name)?.[1] ?? Number.NaN))
    return [...new Set(sets)].sort((a, b) => a - b)
  }

  leases(): string[] {
    return fs.readdirSync(this.layout.leases)
  }

  close(): void {
    this.rig.close()
  }
}

/** Changes two volumes, differently in each set and over what others changed. */
export function changesOf(set: number): Change[] {
  return [
    { volume: 0, offset: 10 * set, length: 3000, fill: set },
    { volume: 1, offset: 7 * set, length: 900, fill: set + 100 },
    { volume: 0, offset: 10 * set + 500, length: 200, fill: 0 }
  ]
}

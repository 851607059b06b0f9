import { expect } from 'vitest'
import { ActivityLog } from '../../src/primary/activity-log.ts'
import type { ActivityRecord } from '../../src/primary/activity-record.ts'

export const REGIONS = 8
export const LIMIT = 3
const REGION_BYTES = 65536

/** What may be broken on purpose: the property must notice. */
export type Broken = 'none' | 'not-logged-first' | 'not-synced' | 'not-applied'

interface Write {
  readonly region: number
  readonly version: number
  entered: boolean
  set: number | undefined
  acknowledged: boolean
  filed: boolean
}

interface Pending {
  readonly go: () => void
}

/**
 * A primary file, a secondary and a log's disk as far as the activity log sees them: each region has a version, each step of
 * a write, a sync, a set and the log happens when the test says so, and a crash may come between any two of them.
 */
export class ActivityWorld {
  readonly log: ActivityLog
  hurried = 0
  private readonly broken: Broken
  private readonly writes: Write[] = []
  private readonly finished: { readonly region: number; readonly version: number; readonly set: number }[] = []
  private version = 0
  private readonly cached = new Array<number>(REGIONS).fill(0)
  private readonly synced = new Array<number>(REGIONS).fill(0)
  private forming = 1
  private applied = 0
  private readonly appliedWaiters: { set: number; go: () => void }[] = []
  private readonly syncs: (Pending & { snapshot: number[] })[] = []
  private durable: ActivityRecord
  private logWrite: (Pending & { record: ActivityRecord }) | undefined

  constructor(broken: Broken) {
    this.broken = broken
    this.durable = {
      size: REGIONS * REGION_BYTES,
      regionBytes: REGION_BYTES,
      cursor: REGIONS * REGION_BYTES,
      cleanSet: 0,
      inode: 1,
      closedAtMs: null,
      secondary: '00'.repeat(16),
      target: 'a',
      regions: new Uint8Array(REGIONS)
    }
    this.log = new ActivityLog(
      {
        write: (record) => {
          expect(this.logWrite, 'one record at a time').toBeUndefined()
          return new Promise((go) => {
            this.logWrite = { record, go }
          })
        },
        close: async () => {}
      },
      this.durable,
      {
        syncPrimary: () =>
          broken === 'not-synced'
            ? Promise.resolve()
            : new Promise((go) => this.syncs.push({ go, snapshot: this.cached.slice() })),
        applied: (set) => {
          if (set <= this.applied || broken === 'not-applied') return Promise.resolve()
          return new Promise((go) => this.appliedWaiters.push({ set, go }))
        },
        hurry: () => {
          this.hurried++
        },
        failed: (error) => {
          throw error
        }
      },
      LIMIT
    )
  }

  get idle(): boolean {
    return this.writes.length === 0
  }

  get finishedWrites(): number {
    return this.finished.length
  }

  begin(region: number): void {
    // Those that overlap wait for each other (range-locks.ts).
    if (this.writes.some((write) => write.region === region)) return
    const write = { region, version: ++this.version, entered: false, set: undefined, acknowledged: false, filed: false }
    this.writes.push(write)
    const entered = this.log.enter(region, region)
    const go = (): void => {
      write.entered = true
    }
    if (entered === undefined || this.broken === 'not-logged-first') go()
    if (entered !== undefined) entered.then(go)
  }

  /** The file has it in its cache. */
  file(n: number): void {
    const write = this.pick(n, (one) => one.entered && !one.filed)
    if (write === undefined) return
    write.filed = true
    this.cached[write.region] = write.version
    this.end(write)
  }

  /** A component takes it into the forming set. */
  take(n: number): void {
    const write = this.pick(n, (one) => one.entered && one.set === undefined)
    if (write !== undefined) write.set = this.forming
  }

  acknowledge(n: number): void {
    const write = this.pick(n, (one) => one.set !== undefined && !one.acknowledged)
    if (write === undefined) return
    write.acknowledged = true
    this.end(write)
  }

  closeSet(): void {
    // A set is formed when all that was taken with it is acknowledged.
    if (this.writes.every(({ set, acknowledged }) => set === undefined || acknowledged)) this.forming++
  }

  apply(): void {
    if (this.applied + 1 >= this.forming) return
    this.applied++
    for (const waiter of this.appliedWaiters.splice(0)) {
      if (waiter.set <= this.applied) waiter.go()
      else this.appliedWaiters.push(waiter)
    }
  }

  endSync(): void {
    const sync = this.syncs.shift()
    if (sync === undefined) return
    for (let region = 0; region < REGIONS; region++) {
      this.synced[region] = Math.max(this.synced[region] as number, sync.snapshot[region] as number)
    }
    sync.go()
  }

  endLogWrite(): void {
    const write = this.logWrite
    if (write === undefined) return
    this.logWrite = undefined
    this.durable = write.record
    write.go()
  }

  /** Everything gets on; nothing new begins. */
  settle(): void {
    for (const n of this.writes.keys()) {
      this.take(n)
      this.file(n)
      this.acknowledge(n)
    }
    this.closeSet()
    this.apply()
    this.endSync()
    this.endLogWrite()
  }

  /** Whatever a crash leaves: a region that differs is one that the log names. @param draw  a number below the bound */
  checkCrash(draw: (bound: number) => number): void {
    const isPowerLoss = draw(2) === 1
    const logged = this.logWrite !== undefined && draw(2) === 1 ? this.logWrite.record : this.durable
    const secured = this.applied + draw(this.forming - this.applied)
    for (let region = 0; region < REGIONS; region++) {
      const write = this.writes.find((one) => one.region === region && one.entered)
      const primary = [this.cached[region] as number]
      if (write !== undefined) primary.push(write.version)
      if (isPowerLoss) primary.push(this.synced[region] as number)
      const atPrimary = primary[draw(primary.length)]
      const sent = [...this.finished, ...this.writes].filter((one) => one.region === region)
      const atSecondary = sent.reduce(
        (newest, { set, version }) => (set !== undefined && set <= secured ? Math.max(newest, version) : newest),
        0
      )
      if (atPrimary === atSecondary) continue
      expect(
        logged.regions[region],
        `region ${region}: version ${atPrimary} at the primary, ${atSecondary} at the secondary`
      ).toBe(1)
    }
    // Those under way may be more, for one record: a region that leaves and one that comes are not the same place.
    expect(this.durable.regions.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(LIMIT)
  }

  private pick(n: number, fits: (write: Write) => boolean): Write | undefined {
    const fitting = this.writes.filter(fits)
    return fitting[n % Math.max(1, fitting.length)]
  }

  private end(write: Write): void {
    if (!write.filed || !write.acknowledged || write.set === undefined) return
    this.writes.splice(this.writes.indexOf(write), 1)
    this.finished.push({ region: write.region, version: write.version, set: write.set })
    this.log.leave(write.region, write.region, write.set)
  }
}

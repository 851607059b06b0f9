import { allocateParking, type Parking, parkingIn } from '../memory/parking.ts'
import type { Appointment, SpareTask, ThreadNotice } from './messages.ts'
import type { HostedThread, ThreadPool } from './thread-pool.ts'

export interface Spare {
  readonly id: number
  readonly thread: HostedThread
}

interface SleepingSpare extends Spare {
  readonly bed: Parking
}

/** After so many in a row that did not become warm, the next change of view tries again. */
const MOST_FAILED = 3

export interface SparesSetting {
  readonly pool: ThreadPool
  /** So many are to be warm. */
  readonly count: number
  nextId(): number
  task(): Omit<SpareTask, 'port' | 'bed'>
  /** Of those that have become components. */
  onNotice(notice: ThreadNotice): void
  /** One has become warm. */
  onWarm(): void
}

/**
 * Threads that are started and warm (0007), and sleep until a component is needed. A thread's start takes a core for a while,
 * so they are made when they are asked for, not when a component dies.
 */
export class Spares {
  private readonly setting: SparesSetting
  /** The one that was warm first comes first. */
  private readonly warm: SleepingSpare[] = []
  private warming = 0
  private failedInARow = 0
  private isOver = false

  constructor(setting: SparesSetting) {
    this.setting = setting
  }

  /** Of the warm ones. */
  get ids(): readonly number[] {
    return this.warm.map(({ id }) => id)
  }

  /** Starts what is missing. Resolves when all that was started is warm, or has failed to become so. */
  async refill(): Promise<void> {
    const started: Promise<void>[] = []
    while (!this.isOver && this.warm.length + this.warming < this.setting.count) started.push(this.start())
    await Promise.all(started)
  }

  /** One of the warm ones becomes the component of a slot. */
  take(appointment: Appointment): Spare | undefined {
    const spare = this.warm.shift()
    spare?.thread.port.postMessage(appointment)
    spare?.bed.wake()
    return spare
  }

  /** After the board has said that everything is over. */
  close(): void {
    this.isOver = true
    for (const { bed } of this.warm) bed.wake()
  }

  private start(): Promise<void> {
    const { setting } = this
    const bed = allocateParking()
    this.warming++
    return new Promise((resolve) => {
      let isWarm = false
      const thread = setting.pool.start<SpareTask>({ ...setting.task(), bed }, (notice) => {
        if (notice.type !== 'warm') {
          setting.onNotice(notice)
          return
        }
        isWarm = true
        this.failedInARow = 0
        this.warming--
        this.warm.push(spare)
        if (!this.isOver) setting.onWarm()
        resolve()
      })
      const spare = { id: setting.nextId(), thread, bed: parkingIn(bed) }
      thread.exited.then(() => {
        const at = this.warm.indexOf(spare)
        if (at >= 0) this.warm.splice(at, 1)
        if (!isWarm) {
          this.warming--
          this.failedInARow++
        }
        resolve()
        // One that has become a component is not missed here.
        if ((at >= 0 || !isWarm) && this.failedInARow <= MOST_FAILED) void this.refill()
      })
      // One whose task has ended without its having become a component will not become one.
      thread.ended.then(() => {
        if (!this.isOver && (!isWarm || this.warm.includes(spare))) thread.terminate()
      })
    })
  }
}

import { TidemarkError } from '../errors.ts'
import { SpoolDirectory } from '../secondary/spool-directory.ts'
import type { GroupMemory } from './group-memory.ts'
import type { SecondaryMail, SpoolTask, ThreadNotice } from './messages.ts'
import { Succession } from './succession.ts'
import { type HostedThread, ThreadPool } from './thread-pool.ts'

export interface SpoolHostSetting {
  readonly memory: GroupMemory
  readonly directory: string
  readonly group: string
  /** By volume. */
  readonly sizes: readonly number[]
  /** The last set of the time before. */
  readonly lastSet: number
  onNotice(notice: ThreadNotice): void
  /** It was started again: what it had not kept has to be sent again. */
  onReplaced(): void
  /** It cannot go on, nor be started again. */
  onHopeless(cause: unknown): void
}

/** The spool's directory and its thread. */
export class SpoolHost {
  private readonly setting: SpoolHostSetting
  private readonly spool: SpoolDirectory
  private readonly pool = new ThreadPool('spool-thread')
  private thread: HostedThread | undefined
  private readonly succession = new Succession()
  private awaiting: (() => void)[] = []

  constructor(setting: SpoolHostSetting) {
    this.setting = setting
    this.spool = SpoolDirectory.open(setting.directory, setting.group)
  }

  /** Where its segments are. */
  get segments(): string {
    return this.spool.segments
  }

  /** Resolves when it runs. */
  start(): Promise<void> {
    return this.begin(false).running
  }

  /** What a group that did not end in order has left, and nobody needs. */
  get stale(): TidemarkError | undefined {
    const { directory } = this.setting
    const { stale } = this.spool
    if (stale === 0) return undefined
    const message =
      `the spool in ${directory} held ${stale} sets of a group that had not ended in order: they were removed. ` +
      'What the secondary does not have must be sent again from the primary.'
    return new TidemarkError('TIDEMARK_MISMATCH', message, { path: directory, sets: stale })
  }

  mail(mail: SecondaryMail): void {
    this.thread?.port.postMessage(mail)
  }

  /** It does work. */
  works(): void {
    this.succession.works()
  }

  /** For tests: its thread is ended. Resolves when another one goes on. */
  fail(): Promise<void> {
    this.succession.works()
    this.thread?.terminate()
    return new Promise((resolve) => this.awaiting.push(resolve))
  }

  /** After the board has said that everything is over. */
  async close(): Promise<void> {
    this.succession.close()
    await this.thread?.ended
    await this.pool.destroy()
    this.spool.close()
  }

  private begin(resume: boolean): HostedThread {
    const { memory, sizes, lastSet, onNotice, onReplaced, onHopeless } = this.setting
    const store = { directory: this.spool.segments, sizes }
    const thread = this.pool.start<SpoolTask>({ memory, store, lastSet, resume }, onNotice)
    this.thread = thread
    this.succession.watch(thread, {
      begin: () => this.begin(true),
      onReplaced: () => {
        onReplaced()
        for (const resolve of this.awaiting.splice(0)) resolve()
      },
      onHopeless
    })
    return thread
  }
}

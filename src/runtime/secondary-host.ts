import type { SecondaryDirectory } from '../secondary/directory.ts'
import type { GroupMemory } from './group-memory.ts'
import type { SecondaryMail, SecondaryTask, ThreadNotice } from './messages.ts'
import { Succession } from './succession.ts'
import { type HostedThread, ThreadPool } from './thread-pool.ts'

export interface SecondaryHostSetting {
  readonly memory: GroupMemory
  /** Undefined: sets are formed and dropped. */
  readonly directory: SecondaryDirectory | undefined
  /** Where the spool's segments are, if there is one. */
  readonly spool: string | undefined
  /** By volume: the secondary component that keeps it. */
  readonly secondaryOf: Uint8Array
  /** They also tell when they have received a set. */
  readonly tellsReceived: boolean
  /** The last set of the time before. */
  readonly lastSet: number
  onNotice(index: number, notice: ThreadNotice): void
  /** One has died; whatever it was about to say was not said. */
  onDied(): void
  /** One was started again: what it had not journaled has to be sent again. */
  onReplaced(): void
  /** One cannot go on, nor be started again. */
  onHopeless(name: string, cause: unknown): void
}

/** The secondary component threads of a group. */
export class SecondaryHost {
  private readonly setting: SecondaryHostSetting
  private readonly pool = new ThreadPool('secondary-thread')
  private readonly threads: HostedThread[] = []
  /** Names of sets that are not secured. */
  private readonly labels = new Map<number, string>()
  private readonly succession = new Succession()

  constructor(setting: SecondaryHostSetting) {
    this.setting = setting
  }

  /** Resolves when all run. */
  async start(): Promise<void> {
    const { secondaries } = this.setting.memory.shape
    for (let index = 0; index < secondaries; index++) this.begin(index, false)
    await Promise.all(this.threads.map((thread) => thread.running))
  }

  mailAll(mail: SecondaryMail): void {
    for (const thread of this.threads) thread.port.postMessage(mail)
  }

  /** The first one is told before the board says that the set may be committed; one in its place is told again. */
  tellLabel(set: number, label: string): void {
    this.labels.set(set, label)
    this.threads[0]?.port.postMessage({ type: 'label', set, label } satisfies SecondaryMail)
  }

  /** Sets up to it have been secured: they do work. */
  secured(upTo: number): void {
    this.succession.works()
    for (const set of this.labels.keys()) if (set <= upTo) this.labels.delete(set)
  }

  /** For tests: its thread is ended. */
  fail(index: number): boolean {
    const thread = this.threads[index]
    this.succession.works()
    thread?.terminate()
    return thread !== undefined
  }

  /** After the board has said that everything is over. */
  async close(): Promise<void> {
    this.succession.close()
    await Promise.all(this.threads.map((thread) => thread.ended))
    await this.pool.destroy()
  }

  private begin(index: number, resume: boolean): HostedThread {
    const { memory, directory, spool, secondaryOf, lastSet, tellsReceived } = this.setting
    const { onNotice, onDied, onReplaced, onHopeless } = this.setting
    const keeps = Array.from(secondaryOf.keys()).filter((volume) => secondaryOf[volume] === index)
    const options = (directory as SecondaryDirectory).storeOptions(index, keeps)
    const store = { ...options, ...(spool !== undefined && { spool }) }
    const labels = index === 0 ? this.labels : new Map()
    const task = { index, memory, store, lastSet, resume, labels, tellsReceived }
    const thread = this.pool.start<SecondaryTask>(task, (notice) => onNotice(index, notice))
    this.threads[index] = thread
    this.succession.watch(thread, {
      onDied,
      begin: () => this.begin(index, true),
      onReplaced,
      onHopeless: (cause) => onHopeless(`secondary component ${index}`, cause)
    })
    return thread
  }
}

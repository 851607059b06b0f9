import { BenchThread } from '../bench-thread.ts'
import { type Check, notHung } from '../checks.ts'
import { size } from '../table.ts'
import type { PeerContestant } from './peer.ts'
import type { ServerProcess } from './server-process.ts'

/** What the thread of a stream is asked. */
export type StreamRequest =
  | { readonly type: 'post'; readonly from: number; readonly count: number }
  | { readonly type: 'count' }

export interface StreamReport {
  /** Microseconds by the clock that all threads share. */
  readonly beganAt: number
  readonly endedAt: number
  /** Updates since the stream began, by each server that counts them. */
  readonly counts: readonly { readonly server: string; readonly updates: number }[]
}

/** So much is kept of a stream, about what a group's set holds at full load; older updates are dropped. */
export const KEPT_BYTES = 16 * 2 ** 20

/** A stream in a server, and a thread that posts updates to it. */
export class ServedStream implements PeerContestant {
  readonly name: string
  private readonly lengthBytes: number
  private readonly servers: readonly ServerProcess[]
  private readonly thread: BenchThread<StreamRequest, StreamReport>
  private posted = 0

  /** @param file  of the thread, as a BenchThread takes it */
  constructor(name: string, lengthBytes: number, servers: readonly ServerProcess[], file: string, data: unknown) {
    this.name = name
    this.lengthBytes = lengthBytes
    this.servers = servers
    this.thread = new BenchThread(file, data)
  }

  async run(count: number): Promise<number> {
    const from = this.posted
    this.posted += count
    const { beganAt, endedAt } = await this.ask({ type: 'post', from, count })
    return (endedAt - beganAt) / 1000
  }

  async check(): Promise<Check[]> {
    const { counts } = await this.ask({ type: 'count' })
    return counts.map(({ server, updates }) => ({
      name: `${this.name}, ${size(this.lengthBytes)}: updates counted by ${server}`,
      expected: this.posted,
      found: updates
    }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thread.close()
    await Promise.all(this.servers.map((server) => server.end()))
  }

  private ask(request: StreamRequest): Promise<StreamReport> {
    return notHung(`${this.name}: ${request.type}`, this.thread.ask(request))
  }
}

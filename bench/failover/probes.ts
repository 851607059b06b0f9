import type { SourcePort } from '../../src/index.ts'
import { BenchThread } from '../bench-thread.ts'
import type { CountedGroup } from './counted-group.ts'

export interface ProbeThreadData {
  readonly port: SourcePort
  readonly volumes: readonly string[]
  readonly lengthBytes: number
  /** Awaits each write before the next; else they are posted whether the ones before are acknowledged or not. */
  readonly awaits: boolean
}

export interface ProbeRequest {
  /** What was measured since the last request, once all that was posted until now is acknowledged: one write at least. */
  readonly type: 'take' | 'stop'
}

export interface ProbeResult {
  readonly longestMs: number
  /** Updates since the thread began. */
  readonly posted: number
}

/** Longest waits for an acknowledgement, in milliseconds. */
export interface Waits {
  readonly awaiting: number
  readonly posting: number
}

const PROBE_BYTES = 64

/** Two sources on threads of their own that go on writing whatever happens, each with its longest wait. */
export class Probes {
  static readonly lengthBytes = PROBE_BYTES
  private readonly group: CountedGroup
  private readonly awaiting: BenchThread<ProbeRequest, ProbeResult>
  private readonly posting: BenchThread<ProbeRequest, ProbeResult>

  constructor(group: CountedGroup, volumes: readonly string[]) {
    this.group = group
    const start = (name: string, awaits: boolean): BenchThread<ProbeRequest, ProbeResult> => {
      const port = group.group.exportSource(name)
      const data: ProbeThreadData = { port, volumes, lengthBytes: PROBE_BYTES, awaits }
      return new BenchThread('wait-probe', data)
    }
    this.awaiting = start('awaiting', true)
    this.posting = start('posting', false)
  }

  /** The longest since the last call. */
  async take(): Promise<Waits> {
    const [awaiting, posting] = await this.ask('take')
    return { awaiting: awaiting.longestMs, posting: posting.longestMs }
  }

  /** Returns how many updates they posted. All of them are acknowledged. */
  async stop(): Promise<number> {
    const results = await this.ask('stop')
    await Promise.all([this.awaiting.close(), this.posting.close()])
    return results[0].posted + results[1].posted
  }

  private ask(type: ProbeRequest['type']): Promise<[ProbeResult, ProbeResult]> {
    return this.group.watched('the sources', Promise.all([this.awaiting.ask({ type }), this.posting.ask({ type })]))
  }
}

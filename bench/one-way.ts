import type { Transferable } from 'node:worker_threads'
import { BenchThread } from './bench-thread.ts'
import type { PassRequest, ReceivedReport, SentReport } from './channel.ts'
import type { Check } from './checks.ts'
import type { Contestant } from './measure.ts'
import { expectedChecksum } from './payload.ts'

interface End {
  readonly file: string
  readonly data: unknown
  readonly transferList?: Transferable[]
}

/** Two threads and a way from one to the other; what arrives is counted and summed up. */
export class OneWay implements Contestant {
  readonly name: string
  private readonly lengthBytes: number
  private readonly sender: BenchThread<PassRequest, SentReport>
  private readonly receiver: BenchThread<PassRequest, ReceivedReport>
  private sent = 0
  private last: ReceivedReport = { endedAt: 0, received: 0, checksum: 0 }

  constructor(name: string, lengthBytes: number, sender: End, receiver: End) {
    this.name = name
    this.lengthBytes = lengthBytes
    this.sender = new BenchThread(sender.file, sender.data, sender.transferList)
    this.receiver = new BenchThread(receiver.file, receiver.data, receiver.transferList)
  }

  async run(count: number): Promise<number> {
    const request = { from: this.sent, count }
    this.sent += count
    const [received, { beganAt }] = await Promise.all([this.receiver.ask(request), this.sender.ask(request)])
    this.last = received
    return (received.endedAt - beganAt) / 1000
  }

  check(): Check[] {
    const { received, checksum } = this.last
    const what = `${this.name}, ${this.lengthBytes} B`
    return [
      { name: `${what}: payloads that arrived`, expected: this.sent, found: received },
      { name: `${what}: their checksum`, expected: expectedChecksum(this.lengthBytes, this.sent), found: checksum }
    ]
  }

  async close(): Promise<void> {
    await Promise.all([this.sender.close(), this.receiver.close()])
  }
}

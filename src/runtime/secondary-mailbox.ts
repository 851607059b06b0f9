import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { SecondaryMail } from './messages.ts'

/**
 * What the control thread posts to a secondary component, read without an event loop. What was posted before a word of the
 * board was stored is there for whoever has loaded that word.
 */
export class SecondaryMailbox {
  private readonly port: MessagePort
  private readonly labels: Map<number, string>
  private readonly onArena: (slot: number, buffer: SharedArrayBuffer) => void

  /** @param labels  told to a predecessor, of sets that are not secured */
  constructor(
    port: MessagePort,
    labels: ReadonlyMap<number, string>,
    onArena: (slot: number, buffer: SharedArrayBuffer) => void
  ) {
    this.port = port
    this.labels = new Map(labels)
    this.onArena = onArena
  }

  read(): void {
    for (let got = receiveMessageOnPort(this.port); got; got = receiveMessageOnPort(this.port)) {
      const mail = got.message as SecondaryMail
      if (mail.type === 'label') this.labels.set(mail.set, mail.label)
      else this.onArena(mail.slot, mail.buffer)
    }
  }

  /** The name of a set that is committed now. It may be asked for again, when there was no room; none before it is. */
  labelOf(set: number): string | undefined {
    this.read()
    for (const other of this.labels.keys()) if (other < set) this.labels.delete(other)
    return this.labels.get(set)
  }
}

import type { HostRequest } from './runtime/messages.ts'

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** What the host has asked of the control thread and has not been answered yet. */
export class HostRequests {
  private readonly post: (request: HostRequest) => void
  private readonly pending = new Map<number, Pending>()
  private next = 0

  constructor(post: (request: HostRequest) => void) {
    this.post = post
  }

  ask(make: (request: number) => HostRequest, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    const request = this.next++
    return new Promise((resolve, reject) => {
      this.pending.set(request, { resolve, reject })
      signal?.addEventListener(
        'abort',
        () => {
          this.pending.delete(request)
          reject(signal.reason)
        },
        { once: true }
      )
      this.post(make(request))
    })
  }

  answer(request: number, value: unknown): void {
    this.pending.get(request)?.resolve(value)
    this.pending.delete(request)
  }

  refuse(request: number, error: Error): void {
    this.pending.get(request)?.reject(error)
    this.pending.delete(request)
  }

  /** Nothing is answered any more. */
  close(error: Error): void {
    for (const { reject } of this.pending.values()) reject(error)
    this.pending.clear()
  }
}

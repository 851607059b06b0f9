import { Piscina } from 'piscina'
import { TidemarkError } from '../errors.ts'
import type { FetchRequest } from '../protocol/refetch.ts'
import type { ControlNotice, FetchTask } from './messages.ts'
import { threadFile } from './thread-file.ts'

export interface FetchesSetting {
  /** Href of the host's module; undefined: the host is asked. */
  readonly module: string | undefined
  readonly volumeNames: readonly string[]
  readonly tell: (notice: ControlNotice) => void
  /** The fetch has ended: these are the bytes. */
  onFetched(request: FetchRequest, bytes: Uint8Array): void
  /** It was tried again and again. */
  onHopeless(error: TidemarkError): void
}

const THREADS = 2
const MOST_TRIES = 10
const RETRY_MS = 50

/** Bytes of primary volumes that components ask for again: by the host's module on threads of its own, or by its function. */
export class Fetches {
  private readonly setting: FetchesSetting
  private readonly asked = new Map<number, { resolve(bytes: unknown): void; reject(error: Error): void }>()
  private pool: Piscina | undefined
  private next = 0
  private isOver = false

  constructor(setting: FetchesSetting) {
    this.setting = setting
  }

  async fetch(request: FetchRequest): Promise<void> {
    const volume = this.setting.volumeNames[request.volume] ?? ''
    for (let tries = 1; !this.isOver; tries++) {
      try {
        const bytes = await this.read(volume, request.offset, request.length)
        if (this.isOver) return
        this.setting.onFetched(request, checked(bytes, volume, request))
        return
      } catch (cause) {
        if (this.isOver) return
        const error = failed(cause, volume, request)
        if (tries === MOST_TRIES) this.setting.onHopeless(error)
        if (tries === MOST_TRIES) return
        this.setting.tell({ type: 'warning', error: error.toRecord() })
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * tries))
      }
    }
  }

  /** The host's function has answered. */
  answer(id: number, bytes: Uint8Array | undefined, message: string | undefined): void {
    const asked = this.asked.get(id)
    this.asked.delete(id)
    if (bytes === undefined) asked?.reject(new Error(message))
    else asked?.resolve(bytes)
  }

  async close(): Promise<void> {
    this.isOver = true
    for (const { reject } of this.asked.values()) reject(new Error('the group has ended'))
    this.asked.clear()
    await this.pool?.destroy()
  }

  private read(volume: string, offset: number, length: number): Promise<unknown> {
    const { module, tell } = this.setting
    if (module === undefined) {
      const id = this.next++
      return new Promise((resolve, reject) => {
        this.asked.set(id, { resolve, reject })
        tell({ type: 'fetch', id, volume, offset, length })
      })
    }
    this.pool ??= new Piscina({ filename: threadFile('fetch-thread'), minThreads: 1, maxThreads: THREADS })
    const task: FetchTask = { module, volume, offset, length }
    return this.pool.run(task)
  }
}

function checked(bytes: unknown, volume: string, { offset, length }: FetchRequest): Uint8Array {
  if (bytes instanceof Uint8Array && bytes.length === length) return bytes
  const got = bytes instanceof Uint8Array ? `${bytes.length} bytes` : String(bytes)
  throw new Error(`it gave ${got} for ${length} bytes at ${offset} of volume '${volume}'`)
}

function failed(cause: unknown, volume: string, { offset, length }: FetchRequest): TidemarkError {
  const said = cause instanceof Error ? cause.message : String(cause)
  const message = `refetch of volume '${volume}' failed, its sets are not secured until it succeeds: ${said}`
  return new TidemarkError('TIDEMARK_SUSPENDED', message, { volume, offset, length }, { cause })
}

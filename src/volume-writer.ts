import { TidemarkError } from './errors.ts'
import type { Part } from './source-calls.ts'
import type { Receipt, VolumeWriter } from './types.ts'

/** What a volume's writer needs of its source. */
export interface VolumeSource {
  checkOpen(): void
  checkSize(parts: readonly Part[]): void
  post(parts: readonly Part[]): Promise<Receipt[]>
  tryPut(volume: number, offset: number, data: Uint8Array): boolean
  putSync(volume: number, offset: number, data: Uint8Array): void
  ready(length: number | undefined): Promise<void>
}

/** One volume, as a source sees it. */
export class RingVolumeWriter implements VolumeWriter {
  readonly name: string
  readonly size: number
  readonly index: number
  private readonly source: VolumeSource

  constructor(source: VolumeSource, index: number, name: string, size: number) {
    this.source = source
    this.index = index
    this.name = name
    this.size = size
  }

  async write(offset: number, data: ArrayBufferView): Promise<Receipt> {
    const bytes = asBytes(data)
    this.check(offset, bytes.length)
    return this.post({ volume: this.index, offset, length: bytes.length, data: bytes })
  }

  async zero(offset: number, length: number): Promise<Receipt> {
    this.check(offset, length)
    return this.post({ volume: this.index, offset, length, data: undefined })
  }

  tryPost(offset: number, data: ArrayBufferView): boolean {
    this.source.checkOpen()
    const bytes = asBytes(data)
    this.check(offset, bytes.length)
    return this.source.tryPut(this.index, offset, bytes)
  }

  ready(length?: number): Promise<void> {
    return this.source.ready(length)
  }

  postSync(offset: number, data: ArrayBufferView): void {
    this.source.checkOpen()
    const bytes = asBytes(data)
    this.check(offset, bytes.length)
    this.source.putSync(this.index, offset, bytes)
  }

  check(offset: number, length: number): void {
    if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) {
      if (offset + length <= this.size) return
    }
    throw new TidemarkError(
      'TIDEMARK_OUT_OF_RANGE',
      `volume '${this.name}' has ${this.size} bytes: offset ${offset}, length ${length} is not a range of it`,
      { volume: this.name, size: this.size, offset, length }
    )
  }

  private async post(part: Part): Promise<Receipt> {
    this.source.checkSize([part])
    const [receipt] = await this.source.post([part])
    return receipt as Receipt
  }
}

export function asBytes(data: ArrayBufferView): Uint8Array {
  if (data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  throw new TidemarkError('TIDEMARK_OPTIONS', 'data must be an ArrayBufferView', { option: 'data' })
}

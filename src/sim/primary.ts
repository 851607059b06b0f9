import type { FetchRequest } from '../protocol/refetch.ts'
import type { Random } from './random.ts'

export interface PrimaryWrite {
  readonly volume: number
  readonly offset: number
  readonly length: number
  /** Undefined for zeros. */
  readonly data: Uint8Array | undefined
}

interface Fetch {
  readonly request: FetchRequest
  wait: number
  bytes: Uint8Array | undefined
}

/**
 * The primary volumes of a world in which only metadata is mirrored: sources write to them what they have posted, and
 * components fetch from them again. A fetch takes a while, reads at some instant of it, and never between a posting and its
 * write: what was posted can be seen by it, and nothing else.
 */
export class Primary {
  refetched = 0
  /** Sources that are between a posting and its write. */
  private writing = 0
  private readonly images: readonly Uint8Array[]
  private readonly random: Random
  private readonly fetches: Fetch[] = []

  constructor(volumes: number, volumeBytes: number, random: Random) {
    this.images = Array.from({ length: volumes }, () => new Uint8Array(volumeBytes))
    this.random = random
  }

  get isPending(): boolean {
    return this.fetches.length > 0
  }

  /** @param post  makes the writes visible to the group */
  write(writes: readonly PrimaryWrite[], post: () => void): void {
    this.writing++
    post()
    for (const { volume, offset, length, data } of writes) {
      const image = this.images[volume] as Uint8Array
      if (data === undefined) image.fill(0, offset, offset + length)
      else image.set(data, offset)
    }
    this.writing--
  }

  fetch(request: FetchRequest): void {
    this.fetches.push({ request, wait: this.random.below(15), bytes: undefined })
  }

  /** Calls `ended` with each fetch that has come to its end. */
  step(ended: (request: FetchRequest, bytes: Uint8Array) => void): void {
    for (const fetch of [...this.fetches]) {
      if (fetch.wait-- > 0) continue
      const { volume, offset, length } = fetch.request
      if (fetch.bytes === undefined) {
        if (this.writing > 0) continue
        fetch.bytes = new Uint8Array((this.images[volume] as Uint8Array).subarray(offset, offset + length))
        fetch.wait = this.random.below(15)
        continue
      }
      this.fetches.splice(this.fetches.indexOf(fetch), 1)
      this.refetched++
      ended(fetch.request, fetch.bytes)
    }
  }
}

import { median } from './measure.ts'

const BUFFER_BYTES = 64 * 2 ** 20
const ROUNDS = 5

/** Bytes a second that one thread copies from one shared buffer to another, in pieces of that size: the median of some rounds. */
export function copyRate(lengthBytes: number, forMs: number): number {
  const from = Buffer.from(new SharedArrayBuffer(BUFFER_BYTES)).fill(1)
  const to = Buffer.from(new SharedArrayBuffer(BUFFER_BYTES)).fill(2)
  return median(Array.from({ length: ROUNDS }, () => copyOnce(from, to, lengthBytes, forMs)))
}

function copyOnce(from: Buffer, to: Buffer, lengthBytes: number, forMs: number): number {
  const began = performance.now()
  let bytes = 0
  for (let at = 0; ; at += lengthBytes) {
    if (at + lengthBytes > BUFFER_BYTES) {
      at = 0
      const elapsed = performance.now() - began
      if (elapsed > forMs) return (bytes * 1000) / elapsed
    }
    from.copy(to, at, at, at + lengthBytes)
    bytes += lengthBytes
  }
}

/** The most that is looked at, or had, at once. */
export const ZERO_BYTES = 1 << 20

const zeroes = Buffer.alloc(ZERO_BYTES)

/** So many zeros, to be read only. At most ZERO_BYTES. */
export function zerosOf(length: number): Uint8Array {
  return zeroes.subarray(0, length)
}

/** Whether the bytes from `from` up to `to` are all zero. At most ZERO_BYTES. */
export function isZeros(bytes: Buffer, from: number, to: number): boolean {
  return bytes.compare(zeroes, 0, to - from, from, to) === 0
}

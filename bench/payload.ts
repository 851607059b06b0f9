/**
 * Numbered payloads, and a checksum over them that depends on their order: a lost, doubled, torn or overtaken one is noticed.
 * Three words of each are looked at, one of them moving through the payload, so that the check costs every contestant the
 * same few nanoseconds.
 */

/** Payloads are handed over as words; 30 bits each, so that no pair of them is a float64 that is not a number. */
const WORD_MASK = 0x3fffffff

/** A payload whose every word is known; `numberPayload` makes it the n-th. */
export function makePayload(memory: ArrayBufferLike, byteOffset: number, lengthBytes: number): Int32Array {
  const words = new Int32Array(memory, byteOffset, lengthBytes / 4)
  for (let n = 0; n < words.length; n++) words[n] = Math.imul(n + 1, 0x9e3779b1) & WORD_MASK
  return words
}

export function numberPayload(words: Int32Array, n: number): void {
  words[0] = n & WORD_MASK
  words[words.length - 1] = Math.imul(n, 0x85ebca6b) & WORD_MASK
}

/**
 * Adds the n-th payload, which lies at `at`, to the checksum.
 * @param length  in words, a power of two
 */
export function foldPayload(checksum: number, words: Int32Array, at: number, length: number, n: number): number {
  const first = words[at] as number
  const last = words[at + length - 1] as number
  const moving = words[at + (n & (length - 1))] as number
  return (Math.imul(checksum, 31) + first + last + moving) | 0
}

/** What the checksum over the first `count` payloads must be. */
export function expectedChecksum(lengthBytes: number, count: number): number {
  const words = makePayload(new ArrayBuffer(lengthBytes), 0, lengthBytes)
  let checksum = 0
  for (let n = 0; n < count; n++) {
    numberPayload(words, n)
    checksum = foldPayload(checksum, words, 0, words.length, n)
  }
  return checksum
}

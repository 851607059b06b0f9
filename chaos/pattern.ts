/**
 * The bytes of an update follow from its word and from each byte's own place in the volume: bytes that were put into a
 * wrong place, or are another update's, do not look right. Word 0: zeros.
 */
export function byteAt(word: number, place: number): number {
  return word === 0 ? 0 : Math.imul(Math.imul(word, 0x85ebca6b) ^ place, 0x9e3779b1) >>> 24
}

/** @param offset  in the volume, of the first byte of `target` */
export function fillPattern(target: Uint8Array, word: number, offset: number): void {
  for (let n = 0; n < target.length; n++) target[n] = byteAt(word, offset + n)
}

/** Another one for each update of a round, never 0. */
export function wordOf(writer: number, update: number): number {
  return (((writer + 1) << 24) | (update & 0xffffff)) >>> 0
}

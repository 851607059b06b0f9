/** Memory seen in the widths that records are copied with. */
export interface Words {
  readonly ints: Int32Array<SharedArrayBuffer>
  readonly bytes: Buffer<SharedArrayBuffer>
}

/** Below it a loop over words beats a call into the runtime (docs/decisions/0005-copying.md). */
const LOOP_INTS = 96

/** Copies `bytes` (a multiple of 8) from one place to two others; addresses are bytes, multiples of 8. */
export function copyTwice(
  from: Words,
  at: number,
  bytes: number,
  first: Words,
  firstAt: number,
  second: Words,
  secondAt: number
): void {
  const count = bytes >>> 2
  if (count <= LOOP_INTS) {
    const source = from.ints
    const one = first.ints
    const two = second.ints
    // Two words a step: records are whole multiples of 8 bytes.
    let j = firstAt >>> 2
    let k = secondAt >>> 2
    const begin = at >>> 2
    for (let i = begin; i < begin + count; i += 2, j += 2, k += 2) {
      const low = source[i] as number
      const high = source[i + 1] as number
      one[j] = low
      one[j + 1] = high
      two[k] = low
      two[k + 1] = high
    }
    return
  }
  from.bytes.copy(first.bytes, firstAt, at, at + bytes)
  from.bytes.copy(second.bytes, secondAt, at, at + bytes)
}

/** Copies `bytes` (a multiple of 8) from one place to another; addresses are bytes, multiples of 8. */
export function copyOnce(from: Words, at: number, bytes: number, to: Words, toAt: number): void {
  const count = bytes >>> 2
  if (count <= LOOP_INTS) {
    const source = from.ints
    const target = to.ints
    const i = at >>> 2
    const j = toAt >>> 2
    for (let n = 0; n < count; n++) target[j + n] = source[i + n] as number
    return
  }
  from.bytes.copy(to.bytes, toAt, at, at + bytes)
}

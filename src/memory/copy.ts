/** Memory seen in the widths that records are copied with. */
export interface Words {
  readonly longs: BigInt64Array<SharedArrayBuffer>
  readonly bytes: Buffer<SharedArrayBuffer>
}

/** Below it a loop over words beats a call into the runtime (docs/decisions/0005-copying.md). Bytes. */
const LOOP_BYTES = 576
export const LARGEST_LOOPED = LOOP_BYTES

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
  if (bytes <= LOOP_BYTES) {
    copyLongsTwice(from.longs, at, bytes, first.longs, firstAt, second.longs, secondAt)
    return
  }
  from.bytes.copy(first.bytes, firstAt, at, at + bytes)
  from.bytes.copy(second.bytes, secondAt, at, at + bytes)
}

/** The same in a loop, whatever the size. */
export function copyLongsTwice(
  from: BigInt64Array,
  at: number,
  bytes: number,
  first: BigInt64Array,
  firstAt: number,
  second: BigInt64Array,
  secondAt: number
): void {
  const count = bytes >>> 3
  const i = at >>> 3
  const j = firstAt >>> 3
  const k = secondAt >>> 3
  for (let n = 0; n < count; n++) {
    const long = from[i + n] as bigint
    first[j + n] = long
    second[k + n] = long
  }
}

/** Copies `bytes` (a multiple of 8) from one place to another; addresses are bytes, multiples of 8. */
export function copyOnce(from: Words, at: number, bytes: number, to: Words, toAt: number): void {
  if (bytes > LOOP_BYTES) {
    from.bytes.copy(to.bytes, toAt, at, at + bytes)
    return
  }
  const { longs: source } = from
  const { longs: target } = to
  const count = bytes >>> 3
  const i = at >>> 3
  const j = toAt >>> 3
  for (let n = 0; n < count; n++) target[j + n] = source[i + n] as bigint
}

/** Below it, comparing is faster than counting digits. */
const COMPARED = 1024
const DIGITS = 1 << 16
const counts = new Uint32Array(DIGITS)

/**
 * The rows 0 .. count-1 in the order of their keys (whole numbers up to 2^53), equal ones in their own order. By digits,
 * since a comparing sort of a million rows holds its thread up for most of a second.
 */
export function orderByKey(keys: Float64Array, count: number): Uint32Array {
  const order = new Uint32Array(count)
  let largest = 0
  let ordered = true
  for (let n = 0; n < count; n++) {
    order[n] = n
    const key = keys[n] as number
    if (key > largest) largest = key
    if (n > 0 && key < (keys[n - 1] as number)) ordered = false
  }
  if (ordered) return order
  if (count <= COMPARED) return order.sort((a, b) => (keys[a] as number) - (keys[b] as number) || a - b)
  let from = order
  let to = new Uint32Array(count)
  for (let unit = 1; unit <= largest; unit *= DIGITS) {
    passByDigit(keys, from, to, unit)
    const swapped = from
    from = to
    to = swapped
  }
  return from
}

function passByDigit(keys: Float64Array, from: Uint32Array, to: Uint32Array, unit: number): void {
  counts.fill(0)
  for (const row of from) {
    const digit = digitOf(keys[row] as number, unit)
    counts[digit] = (counts[digit] as number) + 1
  }
  let before = 0
  for (let digit = 0; digit < DIGITS; digit++) {
    const here = counts[digit] as number
    counts[digit] = before
    before += here
  }
  for (const row of from) {
    const digit = digitOf(keys[row] as number, unit)
    const place = counts[digit] as number
    counts[digit] = place + 1
    to[place] = row
  }
}

/** The conversion to 32 bits keeps the low ones, which is all that a digit needs. */
function digitOf(key: number, unit: number): number {
  return (unit === 1 ? key : Math.floor(key / unit)) & (DIGITS - 1)
}

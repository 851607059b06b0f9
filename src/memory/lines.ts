/**
 * Cache lines. Words that different threads write lie at least one line apart. Two hardware lines, because
 * processors fetch lines in pairs: a neighbour's write would still take ours away.
 */
export const LINE_BYTES = 128
export const LINE_INTS = LINE_BYTES / 4

/** Rounds up to whole lines. */
export function linesFor(bytes: number): number {
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES
}

/** The next power of two that is at least `value` (1 .. 2^30). */
export function powerOfTwoAtLeast(value: number): number {
  let power = 1
  while (power < value) power *= 2
  return power
}

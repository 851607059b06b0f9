/** A logarithmic axis: where it begins and ends, and where it has lines. */
export interface LogScale {
  readonly low: number
  readonly high: number
  readonly ticks: readonly number[]
}

const STEPS = [1, 2, 5]
/** Where there would be more lines, powers of ten are enough. */
const MOST_TICKS = 9

/** The shortest axis from one of 1, 2, 5, 10, 20, 50 .. to another one that has all values on it. */
export function logScale(values: readonly number[]): LogScale {
  const shown = values.filter(isOnLogScale)
  if (shown.length === 0) return { low: 1, high: 10, ticks: [1, 10] }
  const steps = stepsAround(Math.min(...shown), Math.max(...shown))
  return {
    low: steps[0] as number,
    high: steps.at(-1) as number,
    ticks: steps.length > MOST_TICKS ? steps.filter((step) => Number.isInteger(Math.log10(step))) : steps
  }
}

/** Not so: zero, less, and what JSON has no number for. */
export function isOnLogScale(value: number): boolean {
  return Number.isFinite(value) && value > 0
}

/** At least two. */
function stepsAround(lowest: number, highest: number): number[] {
  const steps: number[] = []
  for (let power = Math.floor(Math.log10(lowest)); power <= Math.ceil(Math.log10(highest)) + 1; power++) {
    // Not a product: 3 * 10 ** -1 is no decimal fraction.
    for (const step of STEPS) steps.push(Number(`${step}e${power}`))
  }
  const first = steps.findLastIndex((step) => step <= lowest)
  const last = steps.findIndex((step, n) => step >= highest && n > first)
  return steps.slice(first, last + 1)
}

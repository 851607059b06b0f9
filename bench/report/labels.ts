/** Short words for the values at which an axis has lines: 1, 2 or 5 with some zeros. */

/** 500, 20 k, 1 M */
export function perSecondLabel(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`
  return value >= 1e3 ? `${value / 1e3} k` : String(value)
}

/** 20 us, 5 ms, 1 s */
export function microsecondsLabel(value: number): string {
  if (value >= 1e6) return `${value / 1e6} s`
  return value >= 1e3 ? `${value / 1e3} ms` : `${value} us`
}

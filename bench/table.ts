/** An aligned table: the first `left` columns to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  const text = lines.map((line) =>
    line
      .map((cell, column) => (column < left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  )
  text.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '))
  return text.map((line) => `  ${line}\n`).join('')
}

/** 4.93 M/s, 312 k/s */
export function perSecond(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)} M/s` : `${(value / 1e3).toFixed(0)} k/s`
}

/** Decimal units. */
export function bytesPerSecond(value: number): string {
  return value >= 1e9 ? `${(value / 1e9).toFixed(2)} GB/s` : `${(value / 1e6).toFixed(0)} MB/s`
}

export function microseconds(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} ms`
  return value >= 100 ? `${value.toFixed(0)} us` : `${value.toFixed(1)} us`
}

export function nanoseconds(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} us` : `${value.toFixed(0)} ns`
}

export function cores({ ownCores, otherCores }: { ownCores: number; otherCores: number }): string {
  return `${ownCores.toFixed(1)} + ${otherCores.toFixed(1)}`
}

export function size(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`
}

/** The cells that every table of rates begins with. @param cpuNote  behind the processor time */
export function rateCells(lengthBytes: number, rate: ShownRate, cpuNote = ''): string[] {
  return [
    perSecond(rate.median),
    spread(rate),
    bytesPerSecond(rate.median * lengthBytes),
    nanoseconds(rate.cpuNs) + cpuNote,
    cores(rate)
  ]
}

interface ShownRate {
  readonly median: number
  readonly lowest: number
  readonly highest: number
  readonly cpuNs: number
  readonly ownCores: number
  readonly otherCores: number
}

export const RATE_CELLS = ['updates/s', 'lowest .. highest', 'bytes/s', 'cpu/update', 'cores own + other']

export function spread({ lowest, highest }: { lowest: number; highest: number }): string {
  return `${perSecond(lowest)} .. ${perSecond(highest)}`
}

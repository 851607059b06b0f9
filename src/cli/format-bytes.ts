const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

/** 12 bytes, 1.5 KiB, 20 MiB */
export function formatBytes(bytes: number): string {
  let amount = bytes
  let unit = 0
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  return `${unit === 0 || amount >= 100 ? amount.toFixed(0) : amount.toFixed(1)} ${UNITS[unit]}`
}

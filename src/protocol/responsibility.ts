/**
 * Who is responsible for which volume in the next set, decided near the end of each formation period (R10; [0050], [0051]).
 * Fewer components than volumes, and the reverse, are both usual: the rest has no volume then.
 */
export type ResponsibilityPolicy = 'round-robin' | 'balanced'

/** A component that carries more than this many times the average is relieved. */
const TOLERANCE = 1.1

/** Gives the volumes around; `turn` moves on by one each period, so that nobody keeps a heavy volume. */
export function roundRobin(table: Uint8Array, slots: readonly number[], turn: number): void {
  for (let volume = 0; volume < table.length; volume++) {
    table[volume] = slots[(volume + turn) % slots.length] as number
  }
}

/**
 * Balances by load, largest volume first to the least loaded component; keeps `previous` while that is balanced enough.
 * @param loads  by volume: what it cost lately; volumes without any are spread by number
 */
export function balanced(table: Uint8Array, previous: Uint8Array, slots: readonly number[], loads: Float64Array): void {
  if (isBalanced(previous, slots, loads)) {
    table.set(previous)
    return
  }
  const volumes = Array.from(table.keys())
  const loaded = volumes.filter((volume) => (loads[volume] as number) > 0)
  loaded.sort((a, b) => (loads[b] as number) - (loads[a] as number) || a - b)
  const carried = new Float64Array(slots.length)
  const counts = new Int32Array(slots.length)
  for (const volume of loaded) {
    const least = indexOfLeast(carried)
    table[volume] = slots[least] as number
    carried[least] = (carried[least] as number) + (loads[volume] as number)
    counts[least] = (counts[least] as number) + 1
  }
  for (const volume of volumes) {
    if ((loads[volume] as number) > 0) continue
    const fewest = indexOfLeast(counts)
    table[volume] = slots[fewest] as number
    counts[fewest] = (counts[fewest] as number) + 1
  }
}

/** The first of them, where several are least. */
function indexOfLeast(values: ArrayLike<number>): number {
  let least = 0
  for (let n = 1; n < values.length; n++) if ((values[n] as number) < (values[least] as number)) least = n
  return least
}

/**
 * Gives the volumes of components that are not there any more to the others: heaviest first, each to the one that carries
 * least. All others stay.
 */
export function reassign(
  table: Uint8Array,
  members: readonly number[],
  eligible: readonly number[],
  loads: Float64Array
): void {
  const weight = (volume: number): number => 1 + (loads[volume] as number)
  const carried = new Map<number, number>(eligible.map((slot) => [slot, 0]))
  const orphans: number[] = []
  for (let volume = 0; volume < table.length; volume++) {
    const slot = table[volume] as number
    if (!members.includes(slot)) orphans.push(volume)
    else carried.set(slot, (carried.get(slot) ?? 0) + weight(volume))
  }
  orphans.sort((a, b) => weight(b) - weight(a) || a - b)
  for (const volume of orphans) {
    const least = eligible.reduce((best, slot) =>
      (carried.get(slot) as number) < (carried.get(best) as number) ? slot : best
    )
    table[volume] = least
    carried.set(least, (carried.get(least) as number) + weight(volume))
  }
}

function isBalanced(table: Uint8Array, slots: readonly number[], loads: Float64Array): boolean {
  const carried = new Map<number, number>(slots.map((slot) => [slot, 0]))
  let total = 0
  let largest = 0
  for (let volume = 0; volume < table.length; volume++) {
    const load = loads[volume] as number
    const slot = table[volume] as number
    const sum = carried.get(slot)
    if (sum === undefined) return false
    carried.set(slot, sum + load)
    total += load
    if (load > largest) largest = load
  }
  let most = 0
  for (const sum of carried.values()) if (sum > most) most = sum
  // A new component gets its share also where nobody writes.
  const serving = new Set(table)
  if (table.length >= slots.length && !slots.every((slot) => serving.has(slot))) return false
  // One heavy volume cannot be divided: no table does better than its load.
  return most <= Math.max(largest, (total / slots.length) * TOLERANCE)
}

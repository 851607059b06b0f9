/**
 * Who mirrors for whom. Slots are places in the group, 0 .. count-1, all of them live in a view.
 * Pure rules that every component applies alike, so that nobody has to be told where a copy is.
 */

/**
 * The slots to which a responsible component mirrors an update that it took itself (block 308): `first` and those that
 * follow it around the group, itself left out.
 */
export function mirrorsOf(responsible: number, first: number, mirrors: number, count: number): number[] {
  const slots: number[] = []
  for (let step = 0; slots.length < mirrors && step < count; step++) {
    const slot = (first + step) % count
    if (slot !== responsible) slots.push(slot)
  }
  return slots
}

/**
 * The slots to which a responsible component passes on what `taker` sent it, so that mirrors+1 hold it: mirrors-1 of them,
 * neither the taker nor itself. Takers at different distances get different ones, so that no link carries all of it.
 */
export function onwardOf(responsible: number, taker: number, mirrors: number, count: number): number[] {
  const distance = (taker - responsible + count) % count
  const slots: number[] = []
  for (let step = 1; slots.length < mirrors - 1 && step < count; step++) {
    // Distances 1 .. count-1 around the responsible one, the taker's own left out.
    const next = ((distance - 1 + step) % (count - 1)) + 1
    if (next !== distance) slots.push((responsible + next) % count)
  }
  return slots
}

/** Senders that can have chunks in one component's arena, weighted by how many of its peers' lanes end in them. */
export function laneWeight(count: number, mirrors: number): number {
  return mirrors === 1 ? count : 1 + (count - 1) * (1 + mirrors)
}

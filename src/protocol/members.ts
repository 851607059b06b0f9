/**
 * Who mirrors for whom. Pure rules over the members of a view that new copies may go to (those that are not leaving), given
 * as their slots in rising order; every component applies them alike, so that nobody has to be told where a copy goes.
 */

/** The members in the order in which they follow this slot around the group, the slot itself left out. */
function following(members: readonly number[], slot: number): number[] {
  const after = members.findIndex((member) => member > slot)
  const turned = after < 0 ? members : [...members.slice(after), ...members.slice(0, after)]
  return turned.filter((member) => member !== slot)
}

/**
 * The slots to which a responsible component mirrors an update that it took itself (block 308): `first` and those that
 * follow it around the group, itself left out.
 */
export function mirrorsOf(members: readonly number[], responsible: number, first: number, mirrors: number): number[] {
  return [first, ...following(members, first)].filter((slot) => slot !== responsible).slice(0, mirrors)
}

/** All that it may choose from, each with another first one; none where there are too few members. */
export function mirrorChoices(members: readonly number[], responsible: number, mirrors: number): number[][] {
  const others = following(members, responsible)
  if (others.length < mirrors) return []
  return others.map((first) => mirrorsOf(members, responsible, first, mirrors))
}

/**
 * The slots to which a responsible component passes on what `taker` sent it, so that mirrors+1 hold it: mirrors-1 of them,
 * neither the taker nor itself. Different takers get different ones, so that no link carries all of it.
 */
export function onwardOf(members: readonly number[], responsible: number, taker: number, mirrors: number): number[] {
  return following(members, taker)
    .filter((slot) => slot !== responsible)
    .slice(0, mirrors - 1)
}

/**
 * Chunks that one transaction may take in an arena. With one mirror, all that other lanes do not need for themselves: places
 * are asked for in an order that excludes waiting in a circle (take.ts). With several, what is passed on takes places
 * outside of that order: no more than every lane could have at once.
 */
export function transactionChunks(chunks: number, count: number, mirrors: number): number {
  if (mirrors === 1) return Math.max(0, chunks - 2 * count - 1)
  return Math.max(0, Math.floor(chunks / laneWeight(count, mirrors)) - 1)
}

/** Senders that can have chunks in one component's arena, weighted by how many of its peers' lanes end in them. */
export function laneWeight(count: number, mirrors: number): number {
  return mirrors === 1 ? count : 1 + (count - 1) * (1 + mirrors)
}

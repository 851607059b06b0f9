import type { Random } from '../../src/sim/random.ts'

/**
 * Where the updates of one set go, by the number of the place, in the order in which they are posted: so many different
 * places at random, each at least once, and the rest of the updates to these again.
 * @param places  how many there are
 * @param overwrites  the part of the updates that go where an earlier one of the set has been
 */
export function randomPlaces(random: Random, places: number, updates: number, overwrites: number): Uint32Array {
  const different = updates - Math.round(updates * overwrites)
  const chosen = drawDifferent(random, places, different)
  const order = new Uint32Array(updates)
  order.set(chosen)
  for (let n = different; n < updates; n++) order[n] = chosen[random.below(different)] as number
  return shuffle(random, order, updates)
}

function drawDifferent(random: Random, places: number, count: number): Uint32Array {
  const all = Uint32Array.from({ length: places }, (_, place) => place)
  return shuffle(random, all, count).subarray(0, count)
}

/** The first `count` of them become a random choice in a random order. */
function shuffle(random: Random, items: Uint32Array, count: number): Uint32Array {
  for (let n = 0; n < count; n++) {
    const other = random.between(n, items.length - 1)
    const item = items[n] as number
    items[n] = items[other] as number
    items[other] = item
  }
  return items
}

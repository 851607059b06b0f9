/** R6: what orders the updates. */
import { describe, expect, test } from 'vitest'
import type { Ordering } from '../../src/protocol/setting.ts'
import { each, type Receipt, START_MS, TestGroup, type TestSource } from './harness.ts'

const MEMBERS = 4
const VOLUMES = 5

function groupOf(ordering: Ordering, mirrors = 1, firstSet = 1): TestGroup {
  const group = new TestGroup({ members: MEMBERS, volumes: VOLUMES, ordering, mirrors, firstSet, chunks: 256 })
  for (let slot = 0; slot < MEMBERS; slot++) group.openSource(slot)
  return group
}

/** Every source posts to every volume some times, without awaiting; all that was acknowledged, by volume. */
function burst(group: TestGroup, rounds: number): Receipt[][] {
  const posted: { volume: number; ordinal: number; source: number }[] = []
  for (let round = 0; round < rounds; round++) {
    for (let volume = 0; volume < VOLUMES; volume++) {
      for (const source of group.sources) posted.push({ volume, ordinal: source.post({ volume }), source: source.id })
    }
    // Batches of different lengths, seen by some before others.
    group.step(round % MEMBERS, (round * 3 + 1) % MEMBERS)
  }
  group.settle()
  const receipts: Receipt[][] = each(VOLUMES, () => [])
  for (const { volume, ordinal, source } of posted) {
    receipts[volume]?.push(group.sources[source]?.receipt(ordinal) as Receipt)
  }
  return receipts
}

/** One update at a time, each awaited, going around volumes and components. */
function oneAfterTheOther(group: TestGroup, updates: number, between: (n: number) => void = () => {}): number[] {
  return each(updates, (n) => {
    between(n)
    const source = group.sources[(n * 3) % MEMBERS] as TestSource
    const ordinal = source.post({ volume: (n * 2) % VOLUMES })
    group.settle()
    return source.receipt(ordinal).sequence
  })
}

const ascending = (a: number, b: number): number => a - b

describe('R6: volume-sequence', () => {
  test.each([1, 2])('counts per volume from 1 in each set, without gaps (%i mirrors)', (mirrors) => {
    const group = groupOf('volume-sequence', mirrors)
    for (const set of [1, 2, 3]) {
      const receipts = burst(group, set + 2)
      for (const ofVolume of receipts) {
        const numbers = ofVolume.map((receipt) => receipt.sequence).sort(ascending)
        expect(numbers).toEqual(each(MEMBERS * (set + 2), (n) => n + 1))
        expect(new Set(ofVolume.map((receipt) => receipt.set))).toEqual(new Set([set]))
      }
      group.closeSet()
    }
  })

  test('keeps the order of a source, and of updates issued after others were acknowledged', () => {
    const group = groupOf('volume-sequence')
    const numbers: number[] = []
    for (let n = 0; n < 10; n++) {
      const source = group.sources[n % 2] as TestSource
      const ordinals = [source.post({ volume: 3 }), source.post({ volume: 3 })]
      group.settle()
      for (const ordinal of ordinals) numbers.push(source.receipt(ordinal).sequence)
    }
    expect(numbers).toEqual(each(20, (n) => n + 1))
  })
})

describe('R6: group-sequence', () => {
  test('unique in each set over all volumes and components', () => {
    const group = groupOf('group-sequence')
    for (let round = 0; round < 3; round++) {
      const all = burst(group, 6)
        .flat()
        .map((receipt) => receipt.sequence)
      expect(new Set(all).size).toBe(MEMBERS * VOLUMES * 6)
      expect(Math.min(...all)).toBeGreaterThanOrEqual(1)
      group.closeSet()
    }
  })

  test('increasing over all volumes: an update issued after another was acknowledged has a higher one', () => {
    const group = groupOf('group-sequence')
    const numbers = oneAfterTheOther(group, 40)
    expect(numbers).toEqual([...new Set(numbers)].sort(ascending))
  })

  test('begins anew with each set, also for one whose place in the window was used before', () => {
    const group = groupOf('group-sequence')
    const lowest: number[] = []
    for (let set = 0; set < 20; set++) {
      const receipts = burst(group, 2).flat()
      lowest.push(Math.min(...receipts.map((receipt) => receipt.sequence)))
      group.closeSet()
    }
    // Gaps are allowed, growth from set to set is not: the first number of each set is a small one.
    expect(Math.max(...lowest)).toBeLessThan(MEMBERS * VOLUMES * 2)
  })
})

describe('R6: timestamp', () => {
  const start = START_MS * 1000

  test('unique and increasing while the clock stands still', () => {
    const group = groupOf('timestamp')
    const numbers = oneAfterTheOther(group, 40)
    expect(numbers).toEqual([...new Set(numbers)].sort(ascending))
    expect(numbers[0]).toBeGreaterThanOrEqual(start)
  })

  test('not repeated when the clock steps back, and the time when it is ahead', () => {
    const group = groupOf('timestamp')
    const numbers = oneAfterTheOther(group, 30, (n) => {
      if (n === 10) group.clockMicroseconds = start + 1_000_000
      if (n === 20) group.clockMicroseconds = start - 5_000_000
    })
    expect(numbers).toEqual([...new Set(numbers)].sort(ascending))
    expect(numbers[9]).toBeLessThan(start + 1_000_000)
    expect(numbers[10]).toBe(start + 1_000_000)
  })

  test('go on over the end of a set', () => {
    const group = groupOf('timestamp')
    const first = burst(group, 3)
      .flat()
      .map((receipt) => receipt.sequence)
    group.closeSet()
    group.clockMicroseconds = 0
    const second = burst(group, 3)
      .flat()
      .map((receipt) => receipt.sequence)
    expect(new Set([...first, ...second]).size).toBe(first.length + second.length)
    expect(Math.min(...second)).toBeGreaterThan(Math.max(...first))
  })
})

describe('R6: all copies carry the identifier', () => {
  test.each<Ordering>(['volume-sequence', 'group-sequence', 'timestamp'])('%s', (ordering) => {
    const group = groupOf(ordering, 2)
    const receipts = burst(group, 2)
    const copies = each(MEMBERS, (slot) => group.held(slot)).flat()
    expect(copies).toHaveLength(MEMBERS * VOLUMES * 2 * 3)
    for (let volume = 0; volume < VOLUMES; volume++) {
      const expected = (receipts[volume] ?? []).flatMap(({ sequence }) => [sequence, sequence, sequence])
      const held = copies.filter((copy) => copy.volume === volume).map((copy) => copy.sequence)
      expect(held.sort(ascending)).toEqual(expected.sort(ascending))
    }
  })
})

/** R10: who is responsible for which volume in the next set; R17: how many of what there may be. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { balanced, reassign, roundRobin } from '../../src/protocol/responsibility.ts'
import { each, TestGroup } from './harness.ts'

const counts = fc.record({
  volumes: fc.integer({ min: 1, max: 60 }),
  // Slots of the live components: not always the first ones.
  slots: fc.uniqueArray(fc.integer({ min: 0, max: 63 }), { minLength: 1, maxLength: 16 })
})

function volumesOf(table: Uint8Array, slots: readonly number[]): number[] {
  return slots.map((slot) => table.filter((responsible) => responsible === slot).length)
}

describe('R10: round robin', () => {
  test('every volume has one live responsible component, and they differ by at most one volume', () => {
    fc.assert(
      fc.property(counts, fc.nat(1000), ({ volumes, slots }, turn) => {
        const table = new Uint8Array(volumes).fill(255)
        roundRobin(table, slots, turn)
        const carried = volumesOf(table, slots)
        expect(carried.reduce((sum, count) => sum + count, 0)).toBe(volumes)
        expect(Math.max(...carried) - Math.min(...carried)).toBeLessThanOrEqual(1)
      })
    )
  })

  test('each turn gives every volume to another component, all of them in their turn', () => {
    const slots = [0, 1, 2]
    const turns = each(3, (turn) => {
      const table = new Uint8Array(7)
      roundRobin(table, slots, turn)
      return table
    })
    for (let volume = 0; volume < 7; volume++) {
      expect(new Set(turns.map((table) => table[volume]))).toEqual(new Set(slots))
    }
  })
})

describe('R10: by load', () => {
  const world = counts.chain(({ volumes, slots }) =>
    fc.record({
      slots: fc.constant(slots),
      loads: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1e6 })), {
        minLength: volumes,
        maxLength: volumes
      }),
      previous: fc.array(fc.constantFrom(...slots, 200), { minLength: volumes, maxLength: volumes })
    })
  )

  test('every volume has one live component; none carries more than its share and one volume', () => {
    fc.assert(
      fc.property(world, ({ slots, loads, previous }) => {
        const table = new Uint8Array(loads.length).fill(255)
        balanced(table, Uint8Array.from(previous), slots, Float64Array.from(loads))
        const carried = new Map(slots.map((slot) => [slot, 0]))
        for (const [volume, load] of loads.entries()) {
          const slot = table[volume] as number
          expect(slots).toContain(slot)
          carried.set(slot, (carried.get(slot) ?? 0) + load)
        }
        const total = loads.reduce((sum, load) => sum + load, 0)
        const largest = Math.max(...loads)
        // Kept tables are within a tenth; new ones within what largest-first cannot miss.
        expect(Math.max(...carried.values())).toBeLessThanOrEqual((total / slots.length) * 1.1 + largest + 1e-6)
      })
    )
  })

  test('equal volumes are shared out equally', () => {
    const table = new Uint8Array(12)
    balanced(table, new Uint8Array(12), [0, 1, 2, 3], new Float64Array(12).fill(1000))
    expect(volumesOf(table, [0, 1, 2, 3])).toEqual([3, 3, 3, 3])
  })

  test('a heavy volume has a component of its own', () => {
    const loads = Float64Array.from([10, 10, 100, 10, 10, 10])
    const table = new Uint8Array(6)
    balanced(table, new Uint8Array(6), [0, 1], loads)
    expect(table.filter((slot) => slot === table[2])).toHaveLength(1)
  })

  test('what is balanced enough stays; what is not is changed', () => {
    const previous = Uint8Array.from([0, 1, 0, 1])
    const table = new Uint8Array(4).fill(9)
    balanced(table, previous, [0, 1], Float64Array.from([50, 50, 52, 51]))
    expect(table).toEqual(previous)
    balanced(table, previous, [0, 1], Float64Array.from([50, 5, 52, 5]))
    expect(table[0]).not.toBe(table[2])
  })

  test('a component that is gone keeps no volume, though it was balanced', () => {
    const table = new Uint8Array(3)
    balanced(table, Uint8Array.from([0, 1, 2]), [0, 2], new Float64Array(3).fill(5))
    expect([...table]).not.toContain(1)
  })

  test('volumes without load are spread', () => {
    const table = new Uint8Array(6)
    balanced(table, new Uint8Array(6).fill(255), [3, 4, 5], new Float64Array(6))
    expect(volumesOf(table, [3, 4, 5])).toEqual([2, 2, 2])
  })
})

describe('R15: newcomers get volumes where nobody writes', () => {
  test('by load: each component has one as soon as there is one for each, and the table stays then', () => {
    fc.assert(
      fc.property(counts, fc.nat(15), ({ volumes, slots }, newcomers) => {
        fc.pre(volumes >= slots.length)
        const settled = slots.slice(0, Math.max(1, slots.length - newcomers))
        const loads = new Float64Array(volumes)
        const before = new Uint8Array(volumes)
        roundRobin(before, settled, 0)
        const table = new Uint8Array(volumes)
        balanced(table, before, slots, loads)
        const carried = volumesOf(table, slots)
        expect(carried.reduce((sum, count) => sum + count, 0)).toBe(volumes)
        expect(Math.min(...carried)).toBeGreaterThanOrEqual(1)
        if (settled.length === slots.length) expect(table).toEqual(before)
        else expect(Math.max(...carried) - Math.min(...carried)).toBeLessThanOrEqual(1)
        const next = new Uint8Array(volumes)
        balanced(next, table, slots, loads)
        expect(next).toEqual(table)
      })
    )
  })

  test('by load: also when all volumes are in use and the table was balanced for the others', () => {
    const table = new Uint8Array(4)
    balanced(table, Uint8Array.from([0, 1, 0, 1]), [0, 1, 2], new Float64Array(4).fill(9))
    expect(volumesOf(table, [0, 1, 2]).sort()).toEqual([1, 1, 2])
  })

  test('by load: with fewer volumes than components a balanced table stays, though somebody has none', () => {
    const table = new Uint8Array(2)
    balanced(table, Uint8Array.from([1, 4]), [1, 2, 4], new Float64Array(2))
    expect([...table]).toEqual([1, 4])
  })

  test('round robin: from the first turn with them on', () => {
    const table = new Uint8Array(6)
    roundRobin(table, [0, 1, 7], 3)
    expect(volumesOf(table, [0, 1, 7])).toEqual([2, 2, 2])
  })
})

describe('R16: volumes of components that are not there any more', () => {
  const view = fc.uniqueArray(fc.integer({ min: 0, max: 63 }), { minLength: 1, maxLength: 8 }).chain((members) =>
    fc.record({
      members: fc.constant(members),
      eligible: fc.subarray(members, { minLength: 1 }),
      before: fc.array(fc.oneof(fc.constantFrom(...members), fc.integer({ min: 0, max: 63 })), { maxLength: 30 }),
      loads: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1e6 })), { minLength: 30, maxLength: 30 })
    })
  )

  test('go to eligible ones; all others stay, those of one that leaves too', () => {
    fc.assert(
      fc.property(view, ({ members, eligible, before, loads }) => {
        const table = Uint8Array.from(before)
        reassign(table, members, eligible, Float64Array.from(loads))
        for (const [volume, slot] of table.entries()) {
          const was = before[volume] as number
          if (members.includes(was)) expect(slot).toBe(was)
          else expect(eligible).toContain(slot)
        }
      })
    )
  })

  test('heaviest first, each to the one that carries least: nobody could give one back and still carry more', () => {
    fc.assert(
      fc.property(view, ({ members, eligible, before, loads }) => {
        const table = Uint8Array.from(before)
        reassign(table, members, eligible, Float64Array.from(loads))
        const weight = (volume: number): number => 1 + (loads[volume] as number)
        const volumesAt = (slot: number): number[] => [...table.keys()].filter((volume) => table[volume] === slot)
        const carried = (slot: number): number => volumesAt(slot).reduce((sum, volume) => sum + weight(volume), 0)
        const least = Math.min(...eligible.map(carried))
        for (const slot of eligible) {
          const given = volumesAt(slot).filter((volume) => !members.includes(before[volume] as number))
          if (given.length === 0) continue
          expect(carried(slot) - Math.min(...given.map(weight))).toBeLessThanOrEqual(least)
        }
      })
    )
  })

  test('idle volumes count too: they are shared out', () => {
    const table = Uint8Array.from([9, 9, 9, 9, 0, 1])
    reassign(table, [0, 1, 2], [0, 1, 2], new Float64Array(6))
    expect(volumesOf(table, [0, 1, 2])).toEqual([2, 2, 2])
  })

  test('nobody is gone: nothing changes', () => {
    const table = Uint8Array.from([0, 0, 0, 5])
    reassign(table, [0, 1, 5], [0, 1], new Float64Array(4).fill(100))
    expect([...table]).toEqual([0, 0, 0, 5])
  })
})

describe('R10: the table of the next set', () => {
  test.each(['round-robin', 'balanced'] as const)('is in place before forming becomes that set (%s)', (policy) => {
    const group = new TestGroup({ policy, volumes: 5, members: 3, secondaries: 1 })
    const source = group.openSource(0)
    for (let n = 0; n < 20; n++) {
      for (let volume = 0; volume <= n % 5; volume++) source.post({ volume, bytes: 100 })
      group.settle()
      group.closeSet()
      const forming = group.coordinator.formingSet
      const seen = group.board.tablesAtForming.get(forming | 0)
      expect(seen).toEqual([...group.responsibility(forming)])
      expect(seen?.every((slot) => slot < 3)).toBe(true)
    }
  })

  test('round robin moves on by one with each set', () => {
    const group = new TestGroup({ volumes: 4, members: 3 })
    expect([...group.responsibility(1)]).toEqual([0, 1, 2, 0])
    group.closeSet()
    expect([...group.responsibility(2)]).toEqual([1, 2, 0, 1])
    expect([...group.responsibility(1)]).toEqual([0, 1, 2, 0])
  })

  test('by load: a component with two heavy volumes is relieved within a few sets', () => {
    const group = new TestGroup({ policy: 'balanced', volumes: 4, members: 2, chunks: 256 })
    const source = group.openSource(1)
    // At first 0 and 2 belong to the same component.
    expect(group.responsibility(1)[0]).toBe(group.responsibility(1)[2])
    for (let n = 0; n < 4; n++) {
      for (let k = 0; k < 20; k++) {
        source.post({ volume: 0, bytes: 100 })
        source.post({ volume: 2, bytes: 100 })
      }
      group.settle()
      group.closeSet()
    }
    const table = group.responsibility(group.coordinator.formingSet)
    expect(table[0]).not.toBe(table[2])
  })

  test('a set in formation keeps its table while the next one is decided', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.step(0)
    group.coordinator.closeSet(undefined)
    group.control()
    expect(group.responsibility(2)[0]).toBe(1)
    // Tagged with set 1, noted after forming became 2: it is still component 0's.
    group.run()
    expect(group.component(1).receiver.rejected).toBe(0)
    expect(group.reports.find((report) => report.set === 1 && report.state === 'formed')?.updates).toBe(1)
  })
})

describe('R17: numbers of components, volumes, sources and secondary components', () => {
  test.each([
    { what: 'fewer components than volumes', members: 2, volumes: 9, sources: 2, secondaries: 1 },
    { what: 'fewer volumes than components', members: 5, volumes: 1, sources: 5, secondaries: 1 },
    { what: 'fewer components than sources', members: 2, volumes: 3, sources: 7, secondaries: 2 },
    { what: 'fewer sources than components', members: 6, volumes: 3, sources: 1, secondaries: 2 },
    { what: 'fewer volumes than secondary components', members: 2, volumes: 1, sources: 1, secondaries: 3 }
  ])('$what', ({ members, volumes, sources, secondaries }) => {
    const group = new TestGroup({ members, volumes, secondaries, chunks: 128 })
    const opened = each(sources, (n) => group.openSource(n % members))
    for (let set = 0; set < 3; set++) {
      for (const source of opened) {
        for (let volume = 0; volume < volumes; volume++) {
          expect(source.post({ volume, offset: source.id * 8, fill: 1 + set })).toBeGreaterThanOrEqual(0)
        }
      }
      group.settle()
      group.closeSet()
    }
    expect(group.coordinator.appliedSet).toBe(3)
    for (const image of group.images) {
      expect([...image.subarray(0, sources * 8 + 1)]).toEqual([...each(sources * 8, () => 3), 0])
    }
    expect(group.reports.filter((report) => report.state === 'formed').map((report) => report.updates)).toEqual(
      each(3, () => sources * volumes)
    )
  })

  test('volumes of one source go to different secondary components, each volume whole to one', () => {
    const group = new TestGroup({ volumes: 4, secondaries: 2 })
    const source = group.openSource(0)
    for (let n = 0; n < 12; n++) source.post({ volume: n % 4, offset: n * 8 })
    group.settle()
    group.closeSet()
    const parts = group.journaled.filter((part) => part.set === 1)
    expect(parts.map((part) => part.secondary).sort()).toEqual([0, 1])
    for (const { secondary, updates } of parts) {
      expect(updates).toHaveLength(6)
      expect(updates.every((update) => update.volume % 2 === secondary)).toBe(true)
    }
  })
})

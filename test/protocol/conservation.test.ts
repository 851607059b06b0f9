/** Conservation: acknowledged to sources = held by responsible components, in number and in the sum over names. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameHash, nameHashOfRange, type SetTable } from '../../src/memory/set-tables.ts'
import { SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { SourceWriter } from '../../src/memory/source-writer.ts'
import { acknowledgedTo, sumManifests, volumesThatLost } from '../../src/protocol/conservation.ts'
import { ProtocolError } from '../../src/protocol/setting.ts'
import { each, TestGroup } from './harness.ts'

describe('names', () => {
  test('the sum over a range of names is the sum over each of them, also where ordinals wrap', () => {
    const ordinal = fc.oneof(
      fc.integer(),
      fc.integer({ min: -50, max: 50 }),
      fc.integer({ min: 2 ** 31 - 100, max: 2 ** 31 - 1 })
    )
    fc.assert(
      fc.property(fc.nat(2 ** 20), ordinal, fc.nat(300), (source, from, count) => {
        let sum = 0
        for (let n = 0; n < count; n++) sum = (sum + nameHash(source, (from + n) | 0)) | 0
        expect(nameHashOfRange(source, from, count)).toBe(sum)
      }),
      { numRuns: 500 }
    )
  })

  test('a range is the sum of its pieces, as large as a set may get', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer(), fc.nat(2 ** 31), fc.nat(2 ** 31), (source, from, a, b) => {
        const whole = nameHashOfRange(source, from, a + b)
        expect((nameHashOfRange(source, from, a) + nameHashOfRange(source, (from + a) | 0, b)) | 0).toBe(whole)
      })
    )
  })
})

describe('which volumes lost something', () => {
  const VOLUMES = 3

  /** Two updates of volume 1 and one of volume 2, acknowledged in set 5, and held by nobody. */
  function lossIn(spoil: (memory: SourceMemory, address: number) => void): number[] | undefined {
    const layout = sourceLayout(4096)
    const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
    const writer = new SourceWriter(memory)
    memory.storeSetBegin(5, 0)
    for (const volume of [1, 1, 2]) writer.put(volume, 0, new Uint8Array(8), 0, 8, 0, 0)
    writer.publish()
    memory.release(3)
    spoil(memory, memory.entries[1] as number)
    return volumesThatLost([{ id: 3, memory }], [], [], 5, 5, VOLUMES)
  }

  test('is told while their updates stand in the ring', () => {
    expect(lossIn(() => {})).toEqual([1, 2])
  })

  test.each([8, 16, 24])(
    'is not guessed when the last %i bytes of another record lie over the beginning of one',
    (bytes) => {
      const payload = new Uint8Array(new Float64Array([63, 1, 7]).buffer, 0, bytes)
      expect(lossIn((memory, address) => memory.bytes.set(payload, address))).toBeUndefined()
    }
  )
})

describe('what was acknowledged to a source in a set', () => {
  function sourceThat(begins: readonly [number, number][], acknowledged: number): { id: number; memory: SourceMemory } {
    const layout = sourceLayout(4096)
    const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
    for (const [set, ordinal] of begins) memory.storeSetBegin(set, ordinal)
    memory.release(acknowledged)
    return { id: 3, memory }
  }

  test('is from where the set begins to where the next one does, or to the acknowledged position', () => {
    const source = sourceThat(
      [
        [5, 10],
        [6, 25],
        [8, 40]
      ],
      47
    )
    const updates = [4, 5, 6, 7, 8].map((set) => acknowledgedTo(source, set, 9).updates)
    expect(updates).toEqual([0, 15, 15, 0, 7])
    expect(acknowledgedTo(source, 6, 9).names).toBe(nameHashOfRange(3, 25, 15))
  })

  test('a set that was in the window before is not taken for this one', () => {
    expect(acknowledgedTo(sourceThat([[5, 10]], 20), 5 + 16, 22)).toEqual({ updates: 0, names: 0 })
    expect(acknowledgedTo(sourceThat([], 0), 0, 1)).toEqual({ updates: 0, names: 0 })
  })

  test('also where ordinals and set identifiers wrap', () => {
    const source = sourceThat(
      [
        [0x7fffffff, -5],
        [-0x80000000, 4]
      ],
      9
    )
    expect(acknowledgedTo(source, 0x7fffffff, -0x7fffffff)).toEqual({ updates: 9, names: nameHashOfRange(3, -5, 9) })
    expect(acknowledgedTo(source, -0x80000000, -0x7fffffff).updates).toBe(5)
  })
})

describe('at forming', () => {
  /** Set 1 is sealed: everything was acknowledged, and the tables are not looked at yet. */
  function sealed(ordering: 'volume-sequence' | 'timestamp' = 'volume-sequence'): TestGroup {
    const group = new TestGroup({ ordering, secondaries: 1 })
    const sources = each(3, (slot) => group.openSource(slot))
    for (const source of sources) for (let n = 0; n < 12; n++) source.post({ volume: n % 3, bytes: 10 })
    group.settle()
    group.coordinator.closeSet(undefined)
    group.control()
    group.settle()
    return group
  }
  const table = (group: TestGroup, slot: number): SetTable => group.tables[slot]?.at(1) as SetTable

  test('balanced: the set forms with the number of updates and bytes that were acknowledged', () => {
    const group = sealed()
    group.run()
    expect(group.reports[0]).toMatchObject({ set: 1, state: 'formed', updates: 36, bytes: 360 })
    expect(group.statesOf(1)).toEqual(['formed', 'secured', 'applied'])
  })

  test.each<[string, (group: TestGroup) => void, RegExp]>([
    ['one is missing', (group) => void group.sources[0]?.memory.release(13), /37 updates? acknowledged, 36 held/],
    [
      'one was counted twice',
      (group) => table(group, 0).count(0, 99, 10, nameHash(0, 0)),
      /36 updates acknowledged, 37 held/
    ],
    [
      'one is there instead of another',
      (group) => {
        const row = table(group, 1).ints
        // Same number; the names of two updates swapped for those of two others.
        row[8 + 1] = ((row[8 + 1] as number) - nameHash(0, 1) + nameHash(0, 12)) | 0
      },
      /36 updates acknowledged, 36 held, not the same ones/
    ],
    [
      'a source was held under the name of another',
      (group) => {
        const row = table(group, 2).ints
        row[16 + 1] = ((row[16 + 1] as number) - nameHash(0, 2) + nameHash(1, 2)) | 0
      },
      /not the same ones/
    ],
    [
      'a volume has a second responsible component',
      (group) => table(group, 0).count(1, 1, 0, 0),
      /volume 1 has a second responsible component in set 1/
    ]
  ])('%s: it stops with an error and transfers nothing', (_what, corrupt, message) => {
    const group = sealed()
    corrupt(group)
    expect(() => group.run()).toThrow(message)
    expect(() => group.control()).toThrow(ProtocolError)
    expect(group.statesOf(1)).toEqual([])
    expect(group.board.loadTransfer()).toBe(0)
  })

  test('the manifests together: updates, bytes, names, loads by volume', () => {
    const group = sealed()
    const loads = new Float64Array(3)
    const sum = sumManifests(group.tables, [0, 1, 2], 1, group.responsibility(1), loads)
    let names = 0
    for (let id = 0; id < 3; id++) names = (names + nameHashOfRange(id, 0, 12)) | 0
    expect(sum).toEqual({ updates: 36, bytes: 360, names, misplaced: -1 })
    expect(new Set(loads).size).toBe(1)
    expect(loads[0]).toBeGreaterThan(120)
    // Added to what was there before.
    sumManifests(group.tables, [0, 1, 2], 1, group.responsibility(1), loads)
    expect(loads[0]).toBe(loads[1] as number)
    // Tables of another set are not counted.
    expect(sumManifests(group.tables, [0, 1, 2], 17, group.responsibility(1), loads).updates).toBe(0)
  })
})

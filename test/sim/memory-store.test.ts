import { expect, test } from 'vitest'
import { MemoryStore } from '../../src/sim/memory-store.ts'
import { Records } from '../secondary/support.ts'

test('a commit that does not list what all components have journaled is a violation', () => {
  const committed: number[] = []
  const shared = {
    images: [new Uint8Array(100)],
    journaled: () => {},
    committed: (set: number) => committed.push(set),
    announced: () => {},
    beginApply: () => {},
    marked: () => {}
  }
  const stores = [new MemoryStore(0, shared), new MemoryStore(1, shared)] as const
  const records = new Records(1 << 12, 10)
  for (const set of [1, 3]) {
    for (const [n, store] of stores.entries()) {
      store.begin(set)
      if (n === 0) store.append(records.arena, records.data(set, 0, 1, 0, Buffer.from('twelve bytes')))
      store.gather()
      store.sync()
    }
  }
  const nothing = { updates: 0, bytes: 0 }
  const commit = (parts: { updates: number; bytes: number }[]): void =>
    stores[0].commit({ set: 3, consistencyTime: 0, updates: 2, bytes: 24, parts, label: undefined })
  expect(() => commit([{ updates: 1, bytes: 12 }, nothing])).toThrow('lists 1 updates, there are 2')
  expect(() => commit([{ updates: 2, bytes: 23 }, nothing])).toThrow('set 3')
  expect(() =>
    commit([
      { updates: 2, bytes: 24 },
      { updates: 1, bytes: 0 }
    ])
  ).toThrow('lists 1 updates, there are 0')
  expect(committed).toEqual([])
  commit([{ updates: 2, bytes: 24 }, nothing])
  expect(committed).toEqual([3])
})

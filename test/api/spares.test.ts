import { describe, expect, test } from 'vitest'
import { failComponent } from '../../src/chaos.ts'
import type { BackupGroup, GroupOptions } from '../../src/index.ts'
import { activeIds, imageOf, openTestGroup, temporaryDirectory, untilActive } from './support.ts'
import { nextView } from './writers.ts'

function spareIds(group: BackupGroup): number[] {
  const spares = group.status().components.filter(({ state }) => state === 'spare')
  return spares.map(({ id }) => id)
}

/** Resolves when so many spares are warm. Looks whenever a set has come a stage further: they are made without an event. */
async function untilSpares(group: BackupGroup, count: number): Promise<void> {
  while (spareIds(group).length < count) await new Promise<void>((resolve) => group.once('set', () => resolve()))
}

/** What any look at the group must find. */
function expectEachOnce(group: BackupGroup): void {
  const ids = group.status().components.map(({ id }) => id)
  expect(new Set(ids).size, ids.join()).toBe(ids.length)
}

describe('spares', () => {
  for (const spares of [0, 1, 2]) {
    test(`spares: ${spares}: they are seen, with identifiers of their own, hold nothing, and are made up for`, async () => {
      const group = await openTestGroup({ spares })
      expect(spareIds(group).sort()).toEqual([3, 4].slice(0, spares))
      for (const component of group.status().components) {
        if (component.state !== 'spare') continue
        expect(component).toMatchObject({ volumes: [], heldUpdates: 0, heldBytes: 0, takenUpdates: 0 })
      }
      await group.openSource('s').volume('a').write(0, Buffer.of(1))
      const seen = new Set([0, 1, 2, ...spareIds(group)])
      for (let failure = 0; failure < 3; failure++) {
        const [first] = spareIds(group)
        const [victim] = activeIds(group) as [number]
        const joined = nextView(group, ({ reason }) => reason === 'added')
        await failComponent(group, victim)
        expectEachOnce(group)
        // The spare that was warm for longest is in its place; without spares the others are, and another one joins.
        if (first !== undefined) expect(activeIds(group)).toContain(first)
        else seen.add((await joined).component)
        await untilSpares(group, spares)
        expect(activeIds(group)).toHaveLength(3)
        expect(spareIds(group)).toHaveLength(spares)
        for (const id of spareIds(group)) seen.add(id)
        expectEachOnce(group)
      }
      // Everyone that there ever was had an identifier of its own.
      expect(seen.size).toBe(3 + spares + 3)
    })
  }

  test('several failures faster than spares are made: whoever is not replaced is made up for by a join', async () => {
    const directory = temporaryDirectory()
    const options: Partial<GroupOptions> = { components: 5, mirrors: 3, spares: 1, formationPeriodMs: 3600_000 }
    const group = await openTestGroup({ ...options, secondary: { directory } })
    const source = group.openSource('s')
    for (let n = 0; n < 50; n++) await source.volume('b').write(n, Buffer.of(n + 1))
    for (let round = 0; round < 2; round++) {
      const victims = activeIds(group).slice(0, 3)
      const reports = await Promise.all(victims.map((id) => failComponent(group, id)))
      expect(reports.map(({ component }) => component)).toEqual(victims)
      await untilActive(group, 5)
      const active = activeIds(group)
      expect(active).toHaveLength(5)
      for (const id of victims) expect(active).not.toContain(id)
      const held = active.reduce((sum, id) => sum + group.heldUpdates(id).length, 0)
      expect(held).toBe(4 * (50 + round))
      await source.volume('b').write(100 + round, Buffer.of(9))
    }
    await group.close()
    expect([...imageOf(directory, 'b').subarray(0, 50)]).toEqual(Array.from({ length: 50 }, (_, n) => n + 1))
    expect([...imageOf(directory, 'b').subarray(100, 102)]).toEqual([9, 9])
  })

  test('a spare that came into a place is shown as one, not as failed', async () => {
    const group = await openTestGroup({ spares: 1, formationPeriodMs: 3600_000 })
    const states = new Set<string>()
    let isOver = false
    failComponent(group, 0).then(() => {
      isOver = true
    })
    while (!isOver) {
      const spare = group.status().components.filter(({ id }) => id === 3)
      states.add(spare.map(({ state }) => state).join())
      await new Promise((resolve) => setImmediate(resolve))
    }
    // Never seen twice, nor as its predecessor.
    for (const state of states) expect(['spare', 'joining', 'active']).toContain(state)
    expect(activeIds(group)).toEqual([1, 2, 3])
  })
})

import { describe, expect, test } from 'vitest'
import { type BackupGroup, TidemarkError, type ViewReport } from '../../src/index.ts'
import { activeIds, openTestGroup, temporaryDirectory } from './support.ts'
import { COUNTED, COUNTED_VOLUMES, Counters } from './writers.ts'

/** Adds one after another until the group says that its memory serves no more. Returns their identifiers. */
async function growToItsLimit(group: BackupGroup, look: () => Promise<void>): Promise<number[]> {
  const ids: number[] = []
  for (;;) {
    try {
      ids.push(await group.addComponent())
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'TIDEMARK_OPTIONS') return ids
      throw error
    }
    await look()
  }
}

describe('a group grows and shrinks under load, in every applied set A >= B >= C >= A-1', () => {
  for (const [components, mirrors, least] of [
    [2, 1, 16],
    [3, 2, 6]
  ] as const) {
    test(`${components} -> as many as there may be -> ${components}, ${mirrors} mirrors`, async () => {
      const directory = temporaryDirectory()
      const group = await openTestGroup({
        volumes: COUNTED_VOLUMES,
        components,
        mirrors,
        secondary: { directory },
        formationPeriodMs: 10
      })
      const views: ViewReport[] = []
      group.on('view', (report) => views.push(report))
      const trouble: string[] = []
      group.on('warning', ({ message }) => trouble.push(message))
      const counters = new Counters(group, directory, 3, 2)
      const look = async (): Promise<void> => expect(await counters.look()).toBe('a cut')
      const added = await growToItsLimit(group, look)
      const most = components + added.length
      expect(most).toBeGreaterThanOrEqual(least)
      expect(activeIds(group)).toHaveLength(most)
      const before = counters.read()
      // The founders go, and all but as many of those that came.
      const leave = activeIds(group).slice(0, most - components)
      for (const id of leave) {
        await group.removeComponent(id)
        await look()
      }
      expect(activeIds(group)).toEqual(added.slice(-components))
      // Everybody has gone on meanwhile.
      await group.whenApplied((await group.closeSet()).set)
      for (const [n, [a]] of counters.read().entries()) expect(a).toBeGreaterThan(before[n]?.[0] as bigint)
      const last = await counters.end()
      await group.close()
      expect(counters.read()).toEqual(last.map((count) => COUNTED.map(() => count)))
      expect(trouble).toEqual([])
      const told = views.map(({ reason, component, movedUpdates }) => [reason, component, movedUpdates])
      expect(told.filter(([reason]) => reason !== 'added')).toEqual(leave.map((id) => ['removed', id, 0]))
      expect(told.filter(([reason]) => reason === 'added').map(([, id]) => id)).toEqual(added)
    }, 120_000)
  }

  test('all at once in either direction', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      volumes: COUNTED_VOLUMES,
      components: 2,
      secondary: { directory },
      formationPeriodMs: 10
    })
    const counters = new Counters(group, directory, 2, 2)
    for (let round = 0; round < 2; round++) {
      const added = await Promise.all(Array.from({ length: 6 }, () => group.addComponent()))
      expect(await counters.look()).toBe('a cut')
      const active = activeIds(group)
      expect(active).toHaveLength(8)
      for (const id of added) expect(active).toContain(id)
      await Promise.all(active.slice(0, 6).map((id) => group.removeComponent(id)))
      expect(await counters.look()).toBe('a cut')
      expect(activeIds(group)).toEqual(active.slice(6))
    }
    const last = await counters.end()
    await group.close()
    expect(counters.read()).toEqual(last.map((count) => COUNTED.map(() => count)))
  }, 120_000)
})

import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { type DirectoryOptions, openDirectory, type SecondaryDirectory } from '../../src/secondary/directory.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { changesOf, HistoryRig, stopSyncing, withoutSyncing } from './history-rig.ts'
import { MortalFiles } from './mortal-files.ts'
import { temporaryDirectory } from './support.ts'
import { undone } from './undone.ts'

withoutSyncing()
vi.setConfig({ testTimeout: 120_000 })

const VOLUMES = [
  { name: 'a', size: 10_000 },
  { name: 'b', size: 4097 }
]

/** Sets 1 to 3 are applied; of 4 and 5, which are secured as one, and of 6 the images hold nothing, some, or all. */
function crashed(applied: 'nothing' | 'some' | 'all'): HistoryRig {
  const rig = new HistoryRig({ volumes: VOLUMES })
  for (const set of [1, 2, 3]) rig.apply(set, changesOf(set))
  rig.receive(4, changesOf(4))
  rig.secure(5, changesOf(5))
  rig.secure(6, changesOf(6))
  if (applied !== 'nothing') rig.rig.first.announce(5)
  for (const store of applied === 'nothing' ? [] : rig.rig.stores) {
    store.beginApply(5)
    // The second component has not got as far as the first.
    const most = applied === 'all' ? Number.POSITIVE_INFINITY : 8 - 3 * rig.rig.stores.indexOf(store)
    for (let steps = 0; steps < most && !store.applySome(); steps++);
  }
  rig.rig.kill()
  return rig
}

describe('recovery dies at any call', () => {
  test.each([
    ['nothing', false],
    ['some', false],
    ['some', true],
    ['all', false]
  ] as const)('images hold %s of a set, within writes: %s; every kept set is had afterwards', (applied, torn) => {
    const rig = crashed(applied)
    const directory = path.join(temporaryDirectory(), 'secondary')
    const options = { directory, group: 'g', volumes: VOLUMES, components: 2, history: { sets: 10 }, force: true }
    let dieAt = 1
    for (let deaths = 1; deaths > 0; dieAt++) {
      fs.cpSync(rig.layout.directory, directory, { recursive: true })
      deaths = recoverAndDie(options, dieAt, torn)
      openDirectory(options).close()
      expect(inspectDirectory(directory).history.map(({ set }) => set)).toEqual([1, 2, 3, 5, 6])
      for (const set of [1, 2, 3, 5, 6]) {
        const volumes = undone(directory, ['a', 'b'], set)
        expect(rig.isModel(set, { volumes }), `set ${set} after a death at ${dieAt}`).toBe(true)
      }
      fs.rmSync(directory, { recursive: true })
    }
    expect(dieAt).toBeGreaterThan(torn ? 10 : 40)
  })
})

/** Returns how often it died: 0 when it had got to its end before. */
function recoverAndDie(options: DirectoryOptions, dieAt: number, torn: boolean): number {
  const files = new MortalFiles(0)
  files.dieAt = dieAt
  files.torn = torn
  files.watch()
  let opened: SecondaryDirectory | undefined
  files.run(0, () => {
    opened = openDirectory(options)
  })
  vi.restoreAllMocks()
  stopSyncing()
  opened?.close()
  return files.deaths
}

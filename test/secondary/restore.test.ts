import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { Restore } from '../../src/secondary/restore.ts'
import { restoreSet } from '../../src/secondary/restore-set.ts'
import { RestoreTarget } from '../../src/secondary/restore-target.ts'
import { changesOf, HistoryRig, withoutSyncing } from './history-rig.ts'
import { errorOf, temporaryDirectory } from './support.ts'

withoutSyncing()
vi.setConfig({ testTimeout: 120_000 })

function withSets(last: number, options: ConstructorParameters<typeof HistoryRig>[0] = {}): HistoryRig {
  const rig = new HistoryRig(options)
  for (let set = 1; set <= last; set++) rig.apply(set, changesOf(set))
  return rig
}

/** Does something when a copy has got so far. */
function whenCopied(bytes: number, act: () => void): { onProgress(progress: { doneBytes: number }): void } {
  let done = false
  return {
    onProgress: ({ doneBytes }) => {
      if (done || doneBytes < bytes) return
      done = true
      act()
    }
  }
}

describe('while sets are applied', () => {
  test('at every step of applying a set, in any component: what is restored is the set that was asked for', async () => {
    const rig = withSets(3)
    let steps = 0
    const expectBoth = async () => {
      steps++
      for (const set of [1, 3]) {
        expect(rig.isModel(set, await rig.restore({ set })), `set ${set} at step ${steps}`).toBe(true)
      }
      // Not marked yet: the last applied one is the one before.
      expect((await rig.restore()).report.set).toBe(3)
    }
    rig.secure(4, changesOf(4))
    rig.secure(5, changesOf(5))
    const { rig: secondary } = rig
    await expectBoth()
    secondary.first.announce(4)
    await expectBoth()
    const [first, second] = secondary.stores
    first?.beginApply(4)
    second?.beginApply(4)
    while (first?.applySome() === false) await expectBoth()
    while (second?.applySome() === false) await expectBoth()
    await expectBoth()
    secondary.first.mark(4)
    expect(rig.isModel(4, await rig.restore())).toBe(true)
    expect(steps).toBeGreaterThan(14)
    rig.close()
  })

  test('sets come and go while images are copied, and between the steps', async () => {
    const rig = withSets(3)
    // Of volume 0 only: sets 4 and 5 are in the copy of volume 1, not in that of volume 0.
    const { report, volumes } = await rig.restore({
      set: 2,
      ...whenCopied(10_000, () => {
        rig.apply(4, changesOf(4))
        rig.apply(5, changesOf(5))
      })
    })
    expect(report.set).toBe(2)
    expect(rig.isModel(2, { volumes })).toBe(true)

    const restore = new Restore(rig.layout, { set: 3 })
    rig.apply(6, changesOf(6))
    const target = new RestoreTarget(path.join(temporaryDirectory(), 'copy'))
    await restore.copy(target)
    rig.apply(7, changesOf(7))
    await restore.undo()
    await target.finish()
    restore.close()
    expect(rig.isModel(3, { volumes: rig.read(target.directory) })).toBe(true)
    rig.close()
  })

  test('a crash in the middle of a set, before it is opened again and after', async () => {
    const rig = withSets(3)
    rig.secure(4, changesOf(4))
    rig.rig.first.announce(4)
    for (const store of rig.rig.stores) store.beginApply(4)
    const [first, second] = rig.rig.stores
    // The first component has written all, the second has saved its undo at most.
    while (first?.applySome() === false);
    second?.applySome()
    const state = fs.readFileSync(rig.layout.state)
    rig.rig.kill()
    for (const set of [1, 2, 3]) expect(rig.isModel(set, await rig.restore({ set }))).toBe(true)
    // Announcements are not synced: after a power loss the state may not know that the set had been begun.
    state.fill(0, 8192)
    fs.writeFileSync(rig.layout.state, state)
    for (const set of [1, 2, 3]) expect(rig.isModel(set, await rig.restore({ set }))).toBe(true)
    // It is redone, and its undo is what was saved then: not what the images hold now.
    rig.reopenAfterCrash()
    for (const set of [1, 2, 3, 4]) expect(rig.isModel(set, await rig.restore({ set }))).toBe(true)
    rig.close()
  })
})

describe('retention', () => {
  test('removes nothing that a restore in progress needs, and all of it afterwards', async () => {
    const rig = withSets(5, { history: { sets: 3 } })
    const restore = new Restore(rig.layout, { set: 3 })
    expect(rig.leases()).toHaveLength(1)
    const target = new RestoreTarget(path.join(temporaryDirectory(), 'copy'))
    for (const set of [6, 7]) rig.apply(set, changesOf(set))
    await restore.copy(target)
    for (const set of [8, 9, 10]) rig.apply(set, changesOf(set))
    expect(rig.undoSets()).toEqual([4, 5, 6, 7, 8, 9, 10])
    // It is not kept: nobody else gets it.
    await expect(rig.restore({ set: 3 })).rejects.toMatchObject({ details: { oldest: 8, newest: 10 } })
    // Nor does another writer remove it, or shorten the records.
    rig.reopen({ history: { sets: 1 } })
    expect(rig.undoSets()).toEqual([4, 5, 6, 7, 8, 9, 10])
    await restore.undo()
    restore.close()
    await target.finish()
    expect(rig.isModel(3, { volumes: rig.read(target.directory) })).toBe(true)
    rig.apply(rig.nextSet, changesOf(20))
    expect(rig.undoSets()).toEqual([])
    rig.close()
  })

  /**
   * Each order of its two steps (the mark that publishes, the removal) and of the reader's two (the lease, the look at what is
   * kept) in which the set may go: it is refused, or it stays.
   */
  test.each([
    ['both before the lease', ['publish', 'remove', 'lease'], false],
    ['published before the lease', ['publish', 'lease', 'remove'], false],
    ['both between the lease and the look', ['lease', 'publish', 'remove'], false],
    ['published between the lease and the look', ['lease', 'publish'], false],
    ['all after the look', ['lease'], true]
  ])('%s', async (_, order, isKept) => {
    const rig = withSets(3, { history: { sets: 3 } })
    rig.secure(4, changesOf(4))
    rig.rig.first.announce(4)
    rig.rig.applyAll(4)
    const { renameSync } = fs
    const act = (step: string) => {
      if (step === 'publish') rig.rig.first.mark(4)
      if (step === 'remove') rig.rig.first.release(4)
    }
    const renamed = vi.spyOn(fs, 'renameSync').mockImplementation((from, to) => {
      if (path.dirname(String(to)) !== rig.layout.leases) return renameSync(from, to)
      for (const step of order) {
        if (step === 'lease') renameSync(from, to)
        else act(step)
      }
    })
    const begin = () => new Restore(rig.layout, { set: 1 })
    if (!isKept) {
      expect(errorOf(begin)).toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { set: 1, oldest: 2, newest: 4 } })
      expect(rig.leases()).toEqual([])
    } else {
      const restore = begin()
      renamed.mockRestore()
      for (const step of ['publish', 'remove']) act(step)
      const target = new RestoreTarget(path.join(temporaryDirectory(), 'copy'))
      await restore.copy(target)
      await restore.undo()
      await target.finish()
      restore.close()
      expect(rig.isModel(1, { volumes: rig.read(target.directory) })).toBe(true)
    }
    rig.close()
  })

  test('a lease of a process that is gone is removed; one that cannot be read is honoured', () => {
    const rig = withSets(2, { history: { sets: 1 } })
    const restore = new Restore(rig.layout, {})
    const [name] = rig.leases() as [string]
    const lease = JSON.parse(fs.readFileSync(path.join(rig.layout.leases, name), 'utf8')) as object
    restore.close()
    const unreadable = path.join(rig.layout.leases, 'other.json')
    fs.writeFileSync(unreadable, '{')
    rig.apply(3, changesOf(3))
    expect(rig.undoSets()).toEqual([3])
    fs.rmSync(unreadable)
    fs.writeFileSync(path.join(rig.layout.leases, 'gone.json'), JSON.stringify({ ...lease, start: '1', set: 1 }))
    rig.apply(4, changesOf(4))
    expect(rig.undoSets()).toEqual([])
    expect(rig.leases()).toEqual([])
    rig.close()
  })

  test('history that is turned off while a set is restored: refused rather than wrong', async () => {
    const rig = withSets(3)
    const restore = new Restore(rig.layout, { set: 2 })
    await restore.copy(new RestoreTarget(path.join(temporaryDirectory(), 'copy')))
    rig.reopen({ history: undefined })
    rig.apply(rig.nextSet, changesOf(9))
    await expect(restore.undo()).rejects.toThrow('was turned off while set 2 was being restored')
    restore.close()
    rig.close()
  })
})

describe('without history', () => {
  test('the last applied set, and no other', async () => {
    const rig = withSets(3, { history: undefined })
    const restored = await rig.restore()
    expect(restored.report).toMatchObject({ set: 3, state: 'applied', consistencyTime: 3000, updates: 3 })
    expect(rig.isModel(3, restored)).toBe(true)
    await expect(rig.restore({ set: 2 })).rejects.toMatchObject({ details: { set: 2, oldest: 3, newest: 3 } })
    rig.reopen({ history: undefined })
    expect(rig.isModel(3, await rig.restore({ set: 3 }))).toBe(true)
    rig.close()
  })

  test('copied anew when a set came meanwhile', async () => {
    const rig = withSets(3, { history: undefined })
    const restored = await rig.restore(whenCopied(10_000, () => rig.apply(4, changesOf(4))))
    expect(restored.report.set).toBe(4)
    expect(rig.isModel(4, restored)).toBe(true)
    rig.close()
  })

  test('when sets come all the time it is given up, with advice, and nothing is left', async () => {
    const rig = withSets(1, { history: undefined })
    let set = 1
    const to = path.join(temporaryDirectory(), 'copy')
    const onProgress = () => rig.apply(++set, changesOf(set))
    const error = await restoreSet(rig.layout, to, { onProgress }).then(() => undefined, String)
    expect(error).toContain('keep history, or hold the applied set (holdApplied)')
    expect(fs.existsSync(to)).toBe(false)
    rig.close()
  })

  test('what a crash left half applied is not copied', async () => {
    const rig = withSets(3, { history: undefined })
    rig.secure(4, changesOf(4))
    rig.rig.kill()
    await expect(rig.restore()).rejects.toThrow('a crash left')
    rig.reopenAfterCrash({ history: undefined })
    expect(rig.isModel(4, await rig.restore())).toBe(true)
    rig.close()
  })
})

describe('where it is restored to', () => {
  test('only into a directory that is new or empty; that is not touched otherwise', async () => {
    const rig = withSets(2)
    const to = temporaryDirectory()
    await restoreSet(rig.layout, to, { set: 1 })
    expect(fs.readdirSync(to).sort()).toEqual(['a.img', 'b.img'])
    await expect(restoreSet(rig.layout, to, { set: 1 })).rejects.toMatchObject({
      code: 'TIDEMARK_OPTIONS',
      details: { path: to }
    })
    expect(fs.readdirSync(to).sort()).toEqual(['a.img', 'b.img'])
    const file = path.join(to, 'a.img')
    await expect(restoreSet(rig.layout, file, { set: 1 })).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    expect(rig.leases()).toEqual([])
    rig.close()
  })

  test('files get their names when all are whole; what is given up is removed', async () => {
    const rig = withSets(4)
    for (const step of ['copy', 'undo']) {
      const above = temporaryDirectory()
      for (const to of [path.join(above, 'new/deep'), above]) {
        const abort = new AbortController()
        const seen: string[][] = []
        const onProgress = (progress: { step: string }) => {
          seen.push(fs.readdirSync(to))
          if (progress.step === step) abort.abort(new Error('enough'))
        }
        await expect(restoreSet(rig.layout, to, { set: 1, signal: abort.signal, onProgress })).rejects.toThrow('enough')
        expect(seen.length).toBeGreaterThan(0)
        for (const name of seen.flat()) expect(name).toMatch(/\.img\.restoring$/)
        expect(fs.readdirSync(above)).toEqual([])
        expect(rig.leases()).toEqual([])
      }
    }
    rig.close()
  })
})

import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { openSecondary } from '../../src/index.ts'
import { openExistingDirectory } from '../../src/secondary/directory.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { Restore } from '../../src/secondary/restore.ts'
import { restoreSet } from '../../src/secondary/restore-set.ts'
import { RestoreTarget } from '../../src/secondary/restore-target.ts'
import { changesOf, HistoryRig, withoutSyncing } from './history-rig.ts'
import { flipByte, temporaryDirectory } from './support.ts'

const SIZES = [10_000, 4097]

withoutSyncing()
vi.setConfig({ testTimeout: 120_000 })

function withSets(last: number, options: ConstructorParameters<typeof HistoryRig>[0] = {}): HistoryRig {
  const rig = new HistoryRig(options)
  for (let set = 1; set <= last; set++) rig.apply(set, changesOf(set))
  return rig
}

async function expectKept(rig: HistoryRig, sets: readonly number[]): Promise<void> {
  expect(inspectDirectory(rig.layout.directory).history.map(({ set }) => set)).toEqual(sets)
  for (const set of sets) {
    const restored = await rig.restore({ set })
    expect(restored.report.set).toBe(set)
    expect(rig.isModel(set, restored), `set ${set}`).toBe(true)
  }
  expect(rig.leases()).toEqual([])
}

async function refusal(restoring: Promise<unknown>): Promise<{ code: string; details: Record<string, unknown> }> {
  const settled = await restoring.then(
    () => undefined,
    (error: unknown) => error
  )
  expect(settled).toBeDefined()
  return settled as { code: string; details: Record<string, unknown> }
}

describe('a kept set', () => {
  const someChanges = fc.array(
    fc.record({
      volume: fc.nat(1),
      offset: fc.nat(4000),
      length: fc.oneof(fc.nat(60), fc.nat(5000)),
      fill: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 255 }))
    }),
    { maxLength: 12 }
  )

  /** A set alone, or one that is secured together with the next. */
  const someSets = fc.array(fc.record({ changes: someChanges, withNext: fc.boolean() }), { minLength: 2, maxLength: 7 })

  test('is restored as it was, whatever the sets overwrote or zeroed, alone or as one with others', async () => {
    const property = fc.asyncProperty(someSets, fc.integer({ min: 1, max: 2 }), async (sets, components) => {
      const rig = new HistoryRig({ components })
      const kept: number[] = []
      for (const [n, { changes, withNext }] of sets.entries()) {
        const set = n + 1
        const fitting = changes.map((change) => ({
          ...change,
          length: Math.min(change.length, (SIZES[change.volume] ?? 0) - change.offset)
        }))
        if (withNext && set < sets.length) rig.receive(set, fitting)
        else {
          rig.secure(set, [...fitting, { volume: 0, offset: set, length: 1, fill: set }])
          rig.rig.apply(set)
          kept.push(set)
        }
      }
      await expectKept(rig, kept)
      rig.close()
    })
    await fc.assert(property, { numRuns: 15 })
  })

  test('over blocks, gaps and pieces larger than what is read at once', async () => {
    const size = 5 << 20
    const rig = new HistoryRig({ volumes: [{ name: 'v', size }], components: 1 })
    const scattered = Array.from({ length: 9000 }, (_, n) => ({ volume: 0, offset: n * 512, length: 40, fill: 1 }))
    rig.apply(1, scattered)
    rig.apply(2, [{ volume: 0, offset: 100, length: size - 200, fill: 0 }])
    rig.apply(
      3,
      scattered.map((change) => ({ ...change, offset: change.offset + 20, fill: 3 }))
    )
    rig.apply(4, [{ volume: 0, offset: 0, length: size, fill: 0 }])
    await expectKept(rig, [1, 2, 3, 4])
    rig.close()
  })

  test('a first load is not stored twice, nor are holes filled in the copy', async () => {
    const size = 32 << 20
    const rig = new HistoryRig({ volumes: [{ name: 'v', size }], components: 1 })
    rig.apply(1, [{ volume: 0, offset: 5, length: 1, fill: 9 }])
    rig.apply(
      2,
      Array.from({ length: 40 }, (_, n) => ({ volume: 0, offset: (1 + n) * 65536, length: 65536, fill: n + 1 }))
    )
    expect(fs.statSync(path.join(rig.layout.history, '0-2.undo')).size).toBeLessThan(4096)
    const to = path.join(temporaryDirectory(), 'copy')
    await restoreSet(rig.layout, to, { set: 1 })
    const { blocks } = fs.statSync(path.join(to, 'v.img'))
    // Nothing but what was written when it was copied, and that reads as zeros again.
    expect(blocks * 512).toBeLessThan(4 << 20)
    expect(rig.isModel(1, { volumes: rig.read(to) })).toBe(true)
    rig.close()
  })
})

describe('which set is meant', () => {
  test('a number, one between two, a name, a time; else it is said which there are', async () => {
    const rig = new HistoryRig({ history: { sets: 3 } })
    for (const set of [2, 4, 6, 8, 11]) rig.apply(set, changesOf(set), set === 6 ? 'upgrade' : undefined)
    const found = async (options: object) => (await rig.restore(options)).report.set
    expect(await found({})).toBe(11)
    expect(await found({ set: 8 })).toBe(8)
    expect(await found({ set: 10 })).toBe(8)
    expect(await found({ set: 'upgrade' })).toBe(6)
    expect(await found({ time: 8000 })).toBe(8)
    expect(await found({ time: 10_999 })).toBe(8)
    expect(await found({ time: 1e15 })).toBe(11)
    const { report } = await rig.restore({ set: 6 })
    expect(report).toEqual({ set: 6, label: 'upgrade', state: 'applied', consistencyTime: 6000, updates: 3, bytes: 0 })
    for (const set of [4, 5, 12, 'other']) {
      const { code, details } = await refusal(rig.restore({ set }))
      expect(code).toBe('TIDEMARK_OPTIONS')
      expect(details).toEqual({ set, oldest: 6, newest: 11, missing: true })
    }
    expect((await refusal(rig.restore({ time: 5999 }))).details).toMatchObject({ oldest: 6, newest: 11, missing: true })
    for (const bad of [{ set: 6, time: 6000 }, { set: 1.5 }, { set: -1 }, { time: Number.NaN }]) {
      const { code, details } = await refusal(rig.restore(bad))
      expect(code).toBe('TIDEMARK_OPTIONS')
      expect(details.missing).toBeUndefined()
    }
    expect(rig.leases()).toEqual([])
    rig.close()
  })

  test('before the first set there is none', async () => {
    const rig = new HistoryRig()
    expect(await refusal(rig.restore())).toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { missing: true } })
    rig.close()
  })
})

describe('what is kept', () => {
  test('a number of sets; their undo and records, and no others', async () => {
    const rig = withSets(9, { history: { sets: 4 } })
    expect(rig.undoSets()).toEqual([7, 8, 9])
    await expectKept(rig, [6, 7, 8, 9])
    rig.reopen({ history: { sets: 4 } })
    await expectKept(rig, [6, 7, 8, 9])
    rig.close()
  })

  test('what is kept is not taken for damage when the directory is verified', async () => {
    const rig = new HistoryRig({ history: { sets: 4 } })
    const verify = async () => {
      await using secondary = await openSecondary(rig.layout.directory, { readOnly: true })
      return secondary.verify()
    }
    for (const set of [1, 2, 4]) rig.apply(set, changesOf(set))
    rig.receive(5, changesOf(5))
    rig.apply(6, changesOf(6))
    expect(await verify()).toMatchObject({ ok: true, set: 6 })
    rig.reopen()
    for (const n of [0, 1]) rig.apply(rig.nextSet + n, changesOf(20 + n))
    expect(await verify()).toMatchObject({ ok: true })
    rig.close()
    expect(await verify()).toMatchObject({ ok: true })
  })

  test('sets of an age, and the one before them', async () => {
    // A second apart.
    const rig = withSets(9, { history: { ageMs: 2500 } })
    await expectKept(rig, [6, 7, 8, 9])
    expect(rig.undoSets()).toEqual([7, 8, 9])
    rig.close()
  })

  test('sets that hold nothing do not count, unless they were named', async () => {
    const rig = new HistoryRig({ history: { sets: 3 } })
    for (let set = 1; set <= 9; set++) {
      if (set % 3 !== 0) rig.apply(set, [])
      else rig.apply(set, changesOf(set))
    }
    expect(rig.undoSets()).toEqual([6, 9])
    await expectKept(rig, [3, 6, 9])
    rig.apply(10, [], 'named')
    await expectKept(rig, [6, 9, 10])
    rig.close()
  })

  test('history is turned on, shortened, lengthened, turned off, and on again', async () => {
    const rig = withSets(3, { history: undefined })
    expect(inspectDirectory(rig.layout.directory).history).toEqual([])
    rig.reopen({ history: { sets: 5 } })
    const first = rig.nextSet
    await expectKept(rig, [3])
    for (let set = first; set < first + 5; set++) rig.apply(set, changesOf(set % 50))
    await expectKept(
      rig,
      [0, 1, 2, 3, 4].map((n) => first + n)
    )
    rig.reopen({ history: { sets: 2 } })
    await expectKept(rig, [first + 3, first + 4])
    expect(rig.undoSets()).toEqual([first + 4])
    rig.reopen({ history: { sets: 5 } })
    const second = rig.nextSet
    rig.apply(second, changesOf(60))
    await expectKept(rig, [first + 3, first + 4, second])
    rig.reopen({ history: undefined })
    expect(inspectDirectory(rig.layout.directory).history).toEqual([])
    expect(rig.undoSets()).toEqual([])
    const third = rig.nextSet
    rig.apply(third, changesOf(70))
    rig.reopen({ history: { sets: 5 } })
    await expectKept(rig, [third])
    rig.close()
  })

  test('a directory that is opened without a group keeps its history, and saves undo of what it redoes', async () => {
    const rig = withSets(3)
    rig.secure(4, changesOf(4))
    rig.rig.kill()
    openExistingDirectory(rig.layout.directory).close()
    rig.rig = new HistoryRig({ directory: rig.layout.directory }).rig
    await expectKept(rig, [1, 2, 3, 4])
    rig.close()
  })

  test('volumes may be named in another order the next time', async () => {
    const volumes = [
      { name: 'z', size: 10_000 },
      { name: 'a', size: 4097 }
    ]
    const rig = withSets(3, { volumes })
    rig.reopen({ volumes: volumes.toReversed() })
    for (const set of [1, 2, 3]) {
      const {
        volumes: [a, z]
      } = await rig.restore({ set })
      expect(rig.isModel(set, { volumes: [z, a] as Buffer[] })).toBe(true)
    }
    rig.close()
  })
})

describe('damage', () => {
  test('a flipped byte anywhere in undo, a missing end, a missing part: refused, never wrong', async () => {
    const rig = new HistoryRig({ volumes: [{ name: 'v', size: 64 }], components: 1 })
    rig.apply(1, [{ volume: 0, offset: 3, length: 20, fill: 1 }])
    rig.apply(2, [{ volume: 0, offset: 10, length: 20, fill: 2 }])
    const file = path.join(rig.layout.history, '0-2.undo')
    const whole = fs.readFileSync(file)
    const restore = new Restore(rig.layout, { set: 1 })
    const target = new RestoreTarget(temporaryDirectory())
    await restore.copy(target)
    const expectRefused = async (what: string) => {
      const error = await refusal(restore.undo())
      expect(error.code, what).toBe('TIDEMARK_CORRUPT')
      expect(error.details, what).toMatchObject({ set: 2 })
    }
    for (let at = 0; at < whole.length; at++) {
      flipByte(file, at)
      await expectRefused(`byte ${at} is flipped`)
      fs.writeFileSync(file, whole)
    }
    for (let length = 0; length < whole.length; length++) {
      fs.writeFileSync(file, whole.subarray(0, length))
      await expectRefused(`cut to ${length}`)
    }
    fs.rmSync(file)
    await expectRefused('missing')
    // The set that needs none of it is restored all the same.
    expect(rig.isModel(2, await rig.restore({ set: 2 }))).toBe(true)
    fs.writeFileSync(file, whole)
    await restore.undo()
    await target.finish()
    restore.close()
    expect(rig.isModel(1, { volumes: rig.read(target.directory) })).toBe(true)
    expect(rig.leases()).toEqual([])
    rig.close()
  })

  test('a directory that is opened again goes back no farther than its history is whole', async () => {
    const rig = withSets(6)
    rig.rig.close()
    fs.rmSync(path.join(rig.layout.history, '1-4.undo'))
    rig.rig = new HistoryRig({ directory: rig.layout.directory }).rig
    await expectKept(rig, [4, 5, 6])
    expect(rig.undoSets()).toEqual([5, 6])
    rig.close()
  })
})

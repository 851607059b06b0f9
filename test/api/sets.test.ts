import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { failSecondaryComponent } from '../../src/chaos.ts'
import type { SetReport } from '../../src/index.ts'
import { readCommits } from '../../src/secondary/commit-log.ts'
import { imageOf, openTestGroup, temporaryDirectory } from './support.ts'

const HOUR_MS = 3600_000
const NOTHING = { updates: 0, bytes: 0 }

describe('sets', () => {
  test('closeSet names a set; it is formed, secured, applied in order, with what it holds', async () => {
    const group = await openTestGroup({ secondary: { directory: temporaryDirectory() }, formationPeriodMs: 3600_000 })
    const seen: SetReport[] = []
    group.on('set', (report) => seen.push(report))
    const source = group.openSource('s')
    const receipt = await source.volume('a').write(0, Buffer.alloc(100))
    const report = await group.closeSet({ label: 'before-upgrade' })
    expect(report).toMatchObject({ set: receipt.set, label: 'before-upgrade', updates: 1, bytes: 100 })
    expect((await group.whenSecured(receipt.set)).set).toBe(receipt.set)
    const applied = await group.whenApplied(receipt.set)
    expect(applied).toMatchObject({ state: 'applied', writtenBytes: 100, label: 'before-upgrade' })
    expect(seen.filter(({ set }) => set === receipt.set).map(({ state }) => state)).toEqual([
      'formed',
      'secured',
      'applied'
    ])
  })

  test('several that are asked for at once each get what they named', async () => {
    const group = await openTestGroup({ formationPeriodMs: 3600_000 })
    const reports = await Promise.all([
      group.closeSet({ label: 'first' }),
      group.closeSet({ label: 'second' }),
      group.closeSet(),
      group.closeSet({ label: 'third' })
    ])
    const named = reports.filter(({ label }) => label !== undefined)
    expect(named.map(({ label }) => label)).toEqual(['first', 'second', 'third'])
    expect(new Set(named.map(({ set }) => set)).size).toBe(3)
  })

  test('a name is in the commit record, also of a set without updates; sets without both have none', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: HOUR_MS })
    const named = await group.closeSet({ label: 'nothing-yet' })
    await group.closeSet()
    const { set } = await group.openSource('s').volume('a').write(0, Buffer.alloc(10, 1))
    await group.closeSet({ label: 'with-updates' })
    await group.whenApplied(set)
    const log = path.join(directory, 'tidemark/commits.log')
    expect(readCommits(log).commits).toMatchObject([
      { set: named.set, label: 'nothing-yet', updates: 0, parts: [NOTHING, NOTHING] },
      { set, label: 'with-updates', updates: 1, bytes: 10, parts: [{ updates: 1, bytes: 10 }, NOTHING] }
    ])
    await group.close()
    expect(imageOf(directory, 'a').subarray(0, 11)).toEqual(Buffer.from([...Buffer.alloc(10, 1), 0]))
  })

  test('names come into the records also when the component that writes them dies again and again', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: HOUR_MS })
    const source = group.openSource('s')
    const labels = Array.from({ length: 24 }, (_, n) => `point-${n}`)
    for (const [n, label] of labels.entries()) {
      await source.volume('a').write(n, Buffer.of(n + 1))
      // From before the set is told to be closed until it is long secured: the death comes at another moment each time.
      const closing = group.closeSet({ label })
      for (let turns = 0; turns < n; turns++) await new Promise(setImmediate)
      const replaced = failSecondaryComponent(group, 0)
      await group.whenApplied((await closing).set)
      await replaced
    }
    const { commits } = readCommits(path.join(directory, 'tidemark/commits.log'))
    expect(commits.map(({ label }) => label)).toEqual(labels)
  })

  test('whenApplied without a set waits for the last acknowledged update and does not end the period', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: 50 })
    const source = group.openSource('s')
    for (let n = 0; n < 20; n++) {
      await source.volume('a').write(0, Buffer.of(n))
      await group.whenApplied()
      expect(imageOf(directory, 'a')[0]).toBe(n)
    }
  })

  test('a wait can be given up', async () => {
    const group = await openTestGroup({ formationPeriodMs: 3600_000 })
    await group.openSource('s').volume('a').write(0, Buffer.of(1))
    const abort = new AbortController()
    const waiting = group.whenApplied(undefined, { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await expect(group.closeSet({ signal: abort.signal })).rejects.toThrow('enough')
    await group.closeSet()
    await group.whenApplied()
  })

  test('consistency time advances when nobody writes, and never decreases (R19)', async () => {
    const group = await openTestGroup({ formationPeriodMs: 5 })
    const times: number[] = []
    await new Promise<void>((resolve) => {
      group.on('set', ({ state, consistencyTime }) => {
        if (state !== 'applied') return
        times.push(consistencyTime)
        if (times.length === 20) resolve()
      })
    })
    expect(times.every((time, n) => n === 0 || time >= (times[n - 1] as number))).toBe(true)
    expect((times.at(-1) as number) - (times[0] as number)).toBeGreaterThan(50)
    const { lagMs } = group.status()
    expect(lagMs).toBeGreaterThanOrEqual(0)
  })

  test('while the applied set is held, the volumes stay as they are; later sets are secured meanwhile', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: 5 })
    const source = group.openSource('s')
    await source.volume('a').write(0, Buffer.of(1))
    await group.whenApplied()
    const hold = await group.holdApplied()
    const { set } = await source.volume('a').write(0, Buffer.of(2))
    await group.whenSecured(set)
    expect(imageOf(directory, 'a')[0]).toBe(1)
    expect(group.status().sets.applied).toBeLessThan(set)
    hold.release()
    hold.release()
    await group.whenApplied(set)
    expect(imageOf(directory, 'a')[0]).toBe(2)
  })

  test('close applies what is held back', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: 5 })
    await group.holdApplied()
    await group.openSource('s').volume('a').write(0, Buffer.of(5))
    await group.close()
    expect(imageOf(directory, 'a')[0]).toBe(5)
  })

  /**
   * Each writer writes a counter to A, awaits it, to B, awaits it, to C: in every applied set A >= B >= C >= A-1. Read from the
   * images while applying is held.
   */
  test('every applied set is a consistent cut through dependent writes', async () => {
    const directory = temporaryDirectory()
    const names = ['a', 'b', 'c']
    const group = await openTestGroup({
      volumes: names.map((name) => ({ name, size: 64 })),
      secondary: { directory },
      formationPeriodMs: 5
    })
    let over = false
    const writers = Array.from({ length: 3 }, async (_, n) => {
      const source = group.openSource(`writer-${n}`, { component: n })
      const value = Buffer.alloc(8)
      for (let count = 1n; !over; count++) {
        value.writeBigUInt64LE(count)
        for (const name of names) await source.volume(name).write(n * 8, value)
      }
    })
    let cut = 0
    const sets = new Set<number>()
    while (sets.size < 100) {
      const hold = await group.holdApplied()
      const [a, b, c] = names.map((name) => imageOf(directory, name)) as [Buffer, Buffer, Buffer]
      let isCut = false
      for (let n = 0; n < 3; n++) {
        const [x, y, z] = [a, b, c].map((image) => image.readBigUInt64LE(n * 8)) as [bigint, bigint, bigint]
        expect(x >= y && y >= z && z >= x - 1n, `set ${hold.report.set}, writer ${n}: ${x} ${y} ${z}`).toBe(true)
        if (x !== z) isCut = true
      }
      if (isCut && !sets.has(hold.report.set)) cut++
      sets.add(hold.report.set)
      hold.release()
      await group.whenApplied(hold.report.set + 1)
    }
    over = true
    await Promise.all(writers)
    expect(cut).toBeGreaterThan(20)
  }, 60_000)
})

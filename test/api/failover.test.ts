import { describe, expect, test } from 'vitest'
import { failComponent, failSecondaryComponent } from '../../src/chaos.ts'
import type { BackupGroup, TidemarkError, ViewReport } from '../../src/index.ts'
import { activeIds, imageOf, openTestGroup, seeded, temporaryDirectory, untilActive } from './support.ts'

const KINDS = ['terminate', 'exit', 'throw', 'hang'] as const
const HOUR_MS = 3600_000

function heldInAll(group: BackupGroup): number {
  return activeIds(group).reduce((sum, id) => sum + group.heldUpdates(id).length, 0)
}

/** Two components that can fail at once, and as many spares; sets end only when they are asked to. */
function openPair(directory: string): Promise<BackupGroup> {
  return openTestGroup({ secondary: { directory }, components: 2, spares: 2, formationPeriodMs: HOUR_MS })
}

describe('a component fails', () => {
  for (const how of KINDS) {
    test(`by ${how}: a spare takes its place, no source sees an error, nothing acknowledged is lost`, async () => {
      const directory = temporaryDirectory()
      const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: HOUR_MS, hangTimeoutMs: 600 })
      const views: ViewReport[] = []
      group.on('view', (report) => views.push(report))
      const source = group.openSource('s', { component: 1 })
      const model = Buffer.alloc(1000)
      for (let n = 0; n < 100; n++) {
        model[n] = n + 1
        await source.volume('b').write(n, Buffer.of(n + 1))
      }
      for (let id = 0; id < 3; id++) {
        const report = await failComponent(group, id, how)
        expect(report).toMatchObject({ component: id, reason: how === 'hang' ? 'hung' : 'failed' })
        expect(report.detectedMs).toBeGreaterThan(how === 'hang' ? 100 : 0)
        expect(report.reassignedMs).toBeGreaterThanOrEqual(report.detectedMs)
        expect(report.redundantMs).toBeGreaterThanOrEqual(report.reassignedMs)
        expect(report.movedUpdates).toBeGreaterThan(0)
        expect(report.movedBytes).toBeGreaterThan(report.movedUpdates)
        // Where the spare was not warm yet the others took over, and another one is joining.
        await untilActive(group, 3)
        model[200 + id] = 7
        const receipt = await source.volume('b').write(200 + id, Buffer.of(7))
        // Held twice, by two that are there.
        expect(new Set(receipt.holders).size).toBe(2)
        for (const holder of receipt.holders) expect(activeIds(group)).toContain(holder)
        // Each of them is held twice again, all in the same set still.
        expect(heldInAll(group)).toBe(2 * (101 + id))
        expect(activeIds(group)).not.toContain(id)
      }
      expect(views.map(({ component }) => component).filter((id) => id < 3)).toEqual([0, 1, 2])
      expect(group.status()).toMatchObject({ state: 'running' })
      expect(group.status().latency.failover.count).toBe(3)
      await group.close()
      expect(imageOf(directory, 'b').equals(model)).toBe(true)
    })
  }

  test('identifiers are never used again, the number of components comes back', async () => {
    const group = await openTestGroup({ components: 3, spares: 1 })
    const seen = new Set(activeIds(group))
    expect([...seen]).toEqual([0, 1, 2])
    for (let kill = 0; kill < 5; kill++) {
      const [victim] = activeIds(group)
      await failComponent(group, victim as number)
      for (const id of activeIds(group)) seen.add(id)
      expect(activeIds(group)).not.toContain(victim)
    }
    await untilActive(group, 3)
    expect(seen.size).toBeGreaterThanOrEqual(6)
  })

  for (const mirrors of [1, 2, 3]) {
    test(`takeover 'survivors', ${mirrors} mirrors: its volumes go to the others, and another one joins`, async () => {
      const directory = temporaryDirectory()
      const group = await openTestGroup({
        secondary: { directory },
        components: 5,
        spares: 1,
        mirrors,
        takeover: 'survivors',
        formationPeriodMs: HOUR_MS
      })
      const source = group.openSource('s')
      const model = Buffer.alloc(1000)
      for (let n = 0; n < 200; n++) {
        model[n] = n + 1
        await source.volume('b').write(n, Buffer.of(n + 1))
      }
      const responsible = group.status().volumes.find(({ name }) => name === 'b')?.responsible as number
      const report = await failComponent(group, responsible)
      // Those who took over hold it: the newcomer works from the next period on.
      expect(report.movedUpdates).toBeGreaterThan(0)
      expect(heldInAll(group)).toBe(200 * (mirrors + 1))
      const now = group.status().volumes.find(({ name }) => name === 'b')?.responsible
      expect(now).not.toBe(responsible)
      model[500] = 1
      await source.volume('b').write(500, Buffer.of(1))
      await untilActive(group, 5)
      await group.close()
      expect(imageOf(directory, 'b').equals(model)).toBe(true)
    })
  }

  test('too few are left for all copies: a warning, then `resumed` when another one has joined', async () => {
    const group = await openTestGroup({ components: 2, spares: 0, takeover: 'survivors', formationPeriodMs: HOUR_MS })
    const told: string[] = []
    group.on('warning', ({ code, message }) => told.push(`${code}: ${message}`))
    group.on('resumed', () => told.push('resumed'))
    const writer = group.openSource('s').volume('b')
    await writer.write(0, Buffer.of(1))
    await failComponent(group, 0)
    await writer.write(1, Buffer.of(2))
    expect(told).toEqual([
      'TIDEMARK_NOT_REDUNDANT: only 1 component is left: nothing is taken until there are more',
      'resumed'
    ])
  })

  test('up to `mirrors` at once', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      secondary: { directory },
      components: 4,
      mirrors: 2,
      formationPeriodMs: HOUR_MS
    })
    const source = group.openSource('s')
    for (let n = 0; n < 100; n++) await source.volume('b').write(n, Buffer.of(n + 1))
    const reports = await Promise.all([failComponent(group, 1, 'terminate'), failComponent(group, 2, 'throw')])
    expect(reports.map(({ component }) => component)).toEqual([1, 2])
    expect(heldInAll(group)).toBe(300)
    await group.close()
    expect([...imageOf(directory, 'b').subarray(0, 100)]).toEqual(Array.from({ length: 100 }, (_, n) => n + 1))
  })

  test('more than `mirrors` at once: the loss is told, with its volumes and sets, and the copy stays whole', async () => {
    const directory = temporaryDirectory()
    const group = await openPair(directory)
    const source = group.openSource('s')
    await source.volume('b').write(0, Buffer.of(1))
    const { set } = await group.closeSet()
    await group.whenApplied(set)
    await source.volume('b').write(0, Buffer.of(2))
    await source.volume('a').write(0, Buffer.of(2))
    const suspended = new Promise<TidemarkError>((resolve) => group.once('suspended', resolve))
    const failed = await Promise.allSettled([failComponent(group, 0), failComponent(group, 1)])
    const error = await suspended
    expect(error).toMatchObject({
      code: 'TIDEMARK_DATA_LOSS',
      details: { volumes: expect.arrayContaining(['a', 'b']), sets: [set + 1] }
    })
    expect(error.message).toContain('a, b')
    for (const outcome of failed)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'TIDEMARK_DATA_LOSS' } })
    expect(group.status()).toMatchObject({
      state: 'suspended',
      suspension: { code: 'TIDEMARK_DATA_LOSS', volumes: expect.arrayContaining(['a', 'b']), sets: [set + 1] }
    })
    await expect(source.volume('a').write(0, Buffer.of(3))).rejects.toMatchObject({ code: 'TIDEMARK_SUSPENDED' })
    expect(() => source.volume('a').tryPost(0, Buffer.of(3))).toThrow(
      expect.objectContaining({ code: 'TIDEMARK_SUSPENDED' })
    )
    await expect(group.whenApplied(set + 1)).rejects.toMatchObject({ code: 'TIDEMARK_SUSPENDED' })
    await group.close()
    expect(imageOf(directory, 'b')[0]).toBe(1)
    expect(imageOf(directory, 'a')[0]).toBe(0)
  })

  test('more than `mirrors` at once where nothing was unsecured: it goes on', async () => {
    const directory = temporaryDirectory()
    const group = await openPair(directory)
    const source = group.openSource('s')
    await source.volume('b').write(0, Buffer.of(1))
    await group.whenSecured((await group.closeSet()).set)
    await Promise.all([failComponent(group, 0), failComponent(group, 1)])
    await source.volume('b').write(1, Buffer.of(2))
    expect(group.status().state).toBe('running')
    await group.close()
    expect([...imageOf(directory, 'b').subarray(0, 2)]).toEqual([1, 2])
  })

  test('what cannot be failed is refused', async () => {
    const group = await openTestGroup()
    await expect(failComponent(group, 99)).rejects.toMatchObject({ code: 'TIDEMARK_UNKNOWN_COMPONENT' })
    await expect(failComponent(group, 0, 'sulk' as 'exit')).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    await expect(failComponent({} as BackupGroup, 0)).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    await group.close()
    await expect(failComponent(group, 0)).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
  })

  test('under load, again and again: every set is a consistent cut, every acknowledged update arrives', async () => {
    const directory = temporaryDirectory()
    const names = ['a', 'b', 'c']
    const group = await openTestGroup({
      volumes: names.map((name) => ({ name, size: 64 })),
      components: 4,
      secondary: { directory },
      formationPeriodMs: 10,
      hangTimeoutMs: 600
    })
    const random = seeded(11)
    let over = false
    const last: bigint[] = []
    const writers = Array.from({ length: 3 }, async (_, n) => {
      const source = group.openSource(`writer-${n}`, { component: n })
      const value = Buffer.alloc(8)
      for (let count = 1n; !over; count++) {
        value.writeBigUInt64LE(count)
        for (const name of names) await source.volume(name).write(n * 8, value)
        last[n] = count
      }
    })
    for (let kill = 0; kill < 25; kill++) {
      const active = activeIds(group)
      await failComponent(group, active[random(active.length)] as number, KINDS[random(4)])
      const hold = await group.holdApplied()
      const images = names.map((name) => imageOf(directory, name))
      for (let n = 0; n < 3; n++) {
        const [a, b, c] = images.map((image) => image.readBigUInt64LE(n * 8)) as [bigint, bigint, bigint]
        expect(a >= b && b >= c && c >= a - 1n, `kill ${kill}, writer ${n}: ${a} ${b} ${c}`).toBe(true)
      }
      hold.release()
    }
    over = true
    await Promise.all(writers)
    await group.close()
    for (const name of names) {
      const image = imageOf(directory, name)
      for (let n = 0; n < 3; n++) expect(image.readBigUInt64LE(n * 8)).toBe(last[n])
    }
  }, 60_000)
})

describe('a secondary component fails', () => {
  test.each(['journaled', 'mirrored'] as const)(
    "again and again under load, '%s': another thread goes on with its files, every applied set is a consistent cut",
    async (confirm) => {
      const directory = temporaryDirectory()
      const names = ['a', 'b', 'c']
      const group = await openTestGroup({
        volumes: names.map((name) => ({ name, size: 64 })),
        secondary: { directory, components: 2, confirm },
        formationPeriodMs: 5
      })
      const source = group.openSource('s')
      let over = false
      let last = 0n
      const writer = (async () => {
        const value = Buffer.alloc(8)
        while (!over) {
          value.writeBigUInt64LE(++last)
          for (const name of names) await source.volume(name).write(0, value)
        }
      })()
      for (let kill = 0; kill < 12; kill++) {
        await failSecondaryComponent(group, kill % 2)
        const hold = await group.holdApplied()
        const [a, b, c] = names.map((name) => imageOf(directory, name).readBigUInt64LE()) as [bigint, bigint, bigint]
        expect(a >= b && b >= c && c >= a - 1n, `kill ${kill}: ${a} ${b} ${c}`).toBe(true)
        hold.release()
        // What is taken from now on arrives too.
        await group.whenApplied((await group.closeSet()).set)
      }
      over = true
      await writer
      expect(group.status().state).toBe('running')
      await group.close()
      for (const name of names) expect(imageOf(directory, name).readBigUInt64LE()).toBe(last)
    },
    60_000
  )

  test('one that is not there is refused', async () => {
    const group = await openTestGroup({ secondary: { directory: temporaryDirectory(), components: 1 } })
    await expect(failSecondaryComponent(group, 1)).rejects.toMatchObject({ code: 'TIDEMARK_UNKNOWN_COMPONENT' })
  })
})

test('a group closes while a component hangs that has not been found out yet', async () => {
  const group = await openTestGroup({ hangTimeoutMs: 300 })
  const failing = failComponent(group, 0, 'hang')
  const outcome = expect(failing).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
  await group.close({ drain: false })
  await outcome
})

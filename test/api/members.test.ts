import { describe, expect, test } from 'vitest'
import { failComponent } from '../../src/chaos.ts'
import type { BackupGroup, GroupStatus, ViewReport } from '../../src/index.ts'
import { activeIds, imageOf, openTestGroup, temporaryDirectory } from './support.ts'
import { COUNTED_VOLUMES, Counters, nextView } from './writers.ts'

const HOUR_MS = 3600_000
const EIGHT_VOLUMES = Array.from({ length: 8 }, (_, n) => ({ name: `v${n}`, size: 4096 }))

const isAdded = ({ reason }: ViewReport): boolean => reason === 'added'

function componentOf(group: BackupGroup, id: number): GroupStatus['components'][number] | undefined {
  return group.status().components.find((component) => component.id === id)
}

/** Of those that are no spares. */
function statesOf(group: BackupGroup): Record<number, string> {
  const components = group.status().components.filter(({ state }) => state !== 'spare')
  return Object.fromEntries(components.map(({ id, state }) => [id, state]))
}

function responsibleIds(group: BackupGroup): number[] {
  return [...new Set(group.status().volumes.map(({ responsible }) => responsible))].sort((a, b) => a - b)
}

describe('addComponent', () => {
  test('it is joining until the period ends, and works from the next one on', async () => {
    const group = await openTestGroup({ volumes: EIGHT_VOLUMES, formationPeriodMs: HOUR_MS })
    let resolved: number | undefined
    const adding = group.addComponent().then((id) => {
      resolved = id
      return id
    })
    const report = await nextView(group, isAdded)
    const id = report.component
    // 0, 1, 2 are there, 3 is the spare.
    expect(id).toBe(4)
    expect(componentOf(group, id)).toMatchObject({ state: 'joining', volumes: [] })
    expect(responsibleIds(group)).not.toContain(id)
    await group.openSource('s', { component: id }).volume('v0').write(0, Buffer.of(1))
    expect(resolved).toBeUndefined()
    await group.closeSet()
    expect(await adding).toBe(id)
    expect(componentOf(group, id)).toMatchObject({ state: 'active' })
    expect(componentOf(group, id)?.volumes).not.toEqual([])
    expect(responsibleIds(group)).toContain(id)
    expect(activeIds(group)).toEqual([0, 1, 2, 4])
  })

  test('its view event tells who came, in which view, and how long each step took', async () => {
    const group = await openTestGroup()
    const { view } = group.status()
    const began = performance.now()
    const viewing = nextView(group, isAdded)
    const id = await group.addComponent()
    const tookMs = performance.now() - began
    const report = await viewing
    expect(report).toMatchObject({ component: id, reason: 'added', view: view + 1, movedUpdates: 0, movedBytes: 0 })
    expect(report.detectedMs).toBeGreaterThan(0)
    expect(report.reassignedMs).toBeGreaterThanOrEqual(report.detectedMs)
    expect(report.redundantMs).toBeGreaterThanOrEqual(report.reassignedMs)
    expect(report.redundantMs).toBeLessThan(tookMs + 1)
    expect(group.status().view).toBe(view + 1)
  })

  test('under load it is given volumes, mirrors, and a share of the sources', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      volumes: EIGHT_VOLUMES,
      components: 2,
      secondary: { directory },
      formationPeriodMs: 10
    })
    let over = false
    const holders = new Set<number>()
    const writers = EIGHT_VOLUMES.map(async ({ name }) => {
      const volume = group.openSource(name).volume(name)
      let n = 0
      while (!over) {
        n++
        const receipt = await volume.write(0, Buffer.of(n & 255, n >> 8, n >> 16))
        for (const holder of receipt.holders) holders.add(holder)
      }
      return n
    })
    const id = await group.addComponent()
    expect(responsibleIds(group)).toContain(id)
    // Until it has taken much itself, from sources of its own.
    const taken = (): number => componentOf(group, id)?.takenUpdates ?? 0
    while (taken() < 1000) await new Promise<void>((resolve) => group.once('set', () => resolve()))
    expect(holders).toContain(id)
    over = true
    const last = await Promise.all(writers)
    await group.close()
    for (const [index, { name }] of EIGHT_VOLUMES.entries()) {
      expect(imageOf(directory, name).readUIntLE(0, 3)).toBe(last[index])
    }
  })

  test('several at once, up to what its memory serves; one more is refused and nothing is disturbed', async () => {
    const group = await openTestGroup({ volumes: EIGHT_VOLUMES, spares: 0, formationPeriodMs: 5 })
    const ids = await Promise.all(Array.from({ length: 13 }, () => group.addComponent()))
    expect([...ids].sort((a, b) => a - b)).toEqual(Array.from({ length: 13 }, (_, n) => n + 3))
    expect(activeIds(group)).toEqual(Array.from({ length: 16 }, (_, n) => n))
    const before = group.status()
    const views: ViewReport[] = []
    group.on('view', (report) => views.push(report))
    const refused = await group.addComponent().catch((error) => error)
    expect(refused).toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { components: 16 } })
    expect(refused.message).toContain('at most 16')
    const source = group.openSource('s', { component: 7 })
    await source.volume('v0').write(0, Buffer.of(1))
    await group.whenApplied()
    expect(group.status()).toMatchObject({ state: 'running', view: before.view })
    expect(componentOf(group, 7)?.takenUpdates).toBe(1)
    expect(activeIds(group)).toHaveLength(16)
    expect(views).toEqual([])
    // There is room again when one has left.
    await group.removeComponent(7)
    expect(await group.addComponent()).toBe(16)
    // It is where the other one was, and has done nothing yet.
    expect(componentOf(group, 16)?.takenUpdates).toBe(0)
  })

  test('what is pending when the group is closed rejects; so does what comes after', async () => {
    const group = await openTestGroup({ formationPeriodMs: HOUR_MS })
    const pending = [group.addComponent(), nextView(group, isAdded).then(() => group.addComponent())]
    await nextView(group, isAdded)
    const settled = Promise.allSettled(pending)
    await group.close({ drain: false })
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'TIDEMARK_CLOSED' } })
    }
    await expect(group.addComponent()).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
    await expect(group.removeComponent(0)).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
  })

  test('while the group is suspended nobody comes or goes; what was pending hears of it', async () => {
    const group = await openTestGroup({ components: 3, formationPeriodMs: HOUR_MS })
    await group.openSource('s').volume('a').write(0, Buffer.of(1))
    const joined = nextView(group, isAdded)
    const adding = group.addComponent().catch((error) => error)
    await joined
    const suspended = new Promise((resolve) => group.once('suspended', resolve))
    await Promise.allSettled(Object.keys(statesOf(group)).map((id) => failComponent(group, Number(id))))
    await suspended
    expect(await adding).toMatchObject({ code: 'TIDEMARK_DATA_LOSS' })
    await expect(group.addComponent()).rejects.toMatchObject({ code: 'TIDEMARK_SUSPENDED' })
    await expect(group.removeComponent(0)).rejects.toMatchObject({ code: 'TIDEMARK_SUSPENDED' })
  })

  for (const spares of [0, 1]) {
    test(`it dies before it works, with ${spares} spares: another one comes, and the call resolves with its id`, async () => {
      const group = await openTestGroup({ volumes: EIGHT_VOLUMES, spares, formationPeriodMs: HOUR_MS })
      const adding = group.addComponent()
      const { component } = await nextView(group, isAdded)
      const others = nextView(group, (report) => report.reason === 'added' && report.component !== component)
      await failComponent(group, component)
      // A spare is in its place already, or another one joins.
      if (spares === 0) await others
      await group.closeSet()
      const id = await adding
      expect([0, 1, 2, component]).not.toContain(id)
      expect(statesOf(group)).toEqual({ 0: 'active', 1: 'active', 2: 'active', [id]: 'active' })
      expect(responsibleIds(group)).toContain(id)
    })
  }
})

describe('removeComponent', () => {
  test('it leaves in order: no data is moved, its sources go on at others, its thread has ended', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: HOUR_MS })
    const source = group.openSource('s', { component: 1 })
    const model = Buffer.alloc(1000)
    for (let n = 0; n < 100; n++) {
      model[n] = n + 1
      await source.volume('b').write(n, Buffer.of(n + 1))
    }
    // What another one has taken is counted on, whatever view it is.
    const other = group.openSource('other', { component: 0 })
    for (let n = 0; n < 10; n++) await other.volume('a').write(n, Buffer.of(n + 1))
    await other.close()
    const { forming } = group.status().sets
    const viewing = nextView(group, ({ reason }) => reason === 'removed')
    const began = performance.now()
    await group.removeComponent(1)
    const tookMs = performance.now() - began
    // It is not there any more, whatever else is asked of it.
    expect(statesOf(group)).toEqual({ 0: 'active', 2: 'active' })
    expect(() => group.heldUpdates(1)).toThrow(expect.objectContaining({ code: 'TIDEMARK_UNKNOWN_COMPONENT' }))
    await expect(group.removeComponent(1)).rejects.toMatchObject({ code: 'TIDEMARK_UNKNOWN_COMPONENT' })
    const report = await viewing
    expect(report).toMatchObject({ component: 1, reason: 'removed', movedUpdates: 0, movedBytes: 0 })
    expect(report.detectedMs).toBeGreaterThan(0)
    expect(report.detectedMs).toBeLessThanOrEqual(tookMs + 1)
    expect(report.reassignedMs).toBeGreaterThanOrEqual(report.detectedMs)
    expect(report.redundantMs).toBeGreaterThanOrEqual(report.reassignedMs)
    // It has ended the period, so that what it held could be secured.
    expect(group.status().sets.secured).toBeGreaterThanOrEqual(forming)
    expect(group.status().latency.failover.count).toBe(0)
    expect(componentOf(group, 0)?.takenUpdates).toBe(10)
    model[200] = 1
    const receipt = await source.volume('b').write(200, Buffer.of(1))
    expect([...receipt.holders].sort()).toEqual([0, 2])
    await group.close()
    expect(imageOf(directory, 'b').equals(model)).toBe(true)
  })

  test('under load: no source sees an error, each volume keeps its order', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ components: 4, secondary: { directory }, formationPeriodMs: 10 })
    let over = false
    const writers = Array.from({ length: 4 }, async (_, n) => {
      const volume = group.openSource(`s${n}`, { component: n }).volume('a')
      let last = { set: 0, sequence: 0 }
      let count = 0
      while (!over) {
        // Some at once: those under way are taken again by another component, in order.
        const burst = Array.from({ length: 20 }, () => {
          const value = Buffer.alloc(4)
          value.writeUInt32LE(++count)
          return volume.write(n * 4, value)
        })
        for (const receipt of await Promise.all(burst)) {
          const { set, sequence } = receipt
          expect(set > last.set || (set === last.set && sequence > last.sequence)).toBe(true)
          last = receipt
        }
      }
      return count
    })
    const removed: ViewReport[] = []
    group.on('view', (report) => removed.push(report))
    // It ends before the view without it stands.
    const bothGone = nextView(group, ({ component }) => component === 3)
    await group.removeComponent(1)
    await group.removeComponent(3)
    await bothGone
    await new Promise<void>((resolve) => group.once('set', () => resolve()))
    over = true
    const counts = await Promise.all(writers)
    expect(removed.map(({ component, reason, movedUpdates }) => [component, reason, movedUpdates])).toEqual([
      [1, 'removed', 0],
      [3, 'removed', 0]
    ])
    expect(activeIds(group)).toEqual([0, 2])
    await group.close()
    counts.forEach((count, n) => {
      expect(imageOf(directory, 'a').readUInt32LE(n * 4)).toBe(count)
    })
  })

  test('not when fewer than mirrors+1 would remain, however they are asked for; unknown ones are refused', async () => {
    const group = await openTestGroup({ components: 4, mirrors: 2, formationPeriodMs: 5 })
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map((id) => group.removeComponent(id)))
    const refused = { status: 'rejected', reason: { code: 'TIDEMARK_NOT_REDUNDANT' } }
    expect(outcomes).toMatchObject([{ status: 'fulfilled' }, refused, refused, refused])
    await expect(group.removeComponent(1)).rejects.toMatchObject({
      code: 'TIDEMARK_NOT_REDUNDANT',
      message: expect.stringContaining('component 1')
    })
    for (const id of [0, 99, -1, Number.NaN, 1.5, '1' as unknown as number]) {
      await expect(group.removeComponent(id)).rejects.toMatchObject({ code: 'TIDEMARK_UNKNOWN_COMPONENT' })
    }
    expect(statesOf(group)).toEqual({ 1: 'active', 2: 'active', 3: 'active' })
    const receipt = await group.openSource('s').volume('a').write(0, Buffer.of(1))
    expect([...receipt.holders].sort()).toEqual([1, 2, 3])
  })

  test('a spare is none that could leave', async () => {
    const group = await openTestGroup({ spares: 1 })
    const spare = group.status().components.find(({ state }) => state === 'spare')
    await expect(group.removeComponent(spare?.id as number)).rejects.toMatchObject({
      code: 'TIDEMARK_UNKNOWN_COMPONENT'
    })
    expect(group.status().components).toContainEqual(spare)
  })

  test('twice the same: both resolve', async () => {
    const group = await openTestGroup({ formationPeriodMs: HOUR_MS })
    await Promise.all([group.removeComponent(2), group.removeComponent(2)])
    expect(statesOf(group)).toEqual({ 0: 'active', 1: 'active' })
  })

  test('the one that is responsible for everything and holds everything', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      volumes: [{ name: 'a', size: 1000 }],
      secondary: { directory },
      formationPeriodMs: HOUR_MS
    })
    const id = group.status().volumes[0]?.responsible as number
    const source = group.openSource('s', { component: id })
    for (let n = 0; n < 200; n++) await source.volume('a').write(n, Buffer.of(n + 1))
    expect(componentOf(group, id)?.heldUpdates).toBe(200)
    const viewing = nextView(group, ({ reason }) => reason === 'removed')
    await group.removeComponent(id)
    expect(await viewing).toMatchObject({ component: id, movedUpdates: 0 })
    const receipt = await source.volume('a').write(200, Buffer.of(201))
    expect(receipt.holders).not.toContain(id)
    await group.close()
    expect([...imageOf(directory, 'a').subarray(0, 201)]).toEqual(Array.from({ length: 201 }, (_, n) => (n + 1) & 255))
  })

  test('sets need to be secured, not applied: held applies do not keep it', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: HOUR_MS })
    const source = group.openSource('s', { component: 2 })
    const hold = await group.holdApplied()
    await source.volume('a').write(0, Buffer.of(1))
    await group.removeComponent(2)
    expect(imageOf(directory, 'a')[0]).toBe(0)
    const { set } = await source.volume('a').write(1, Buffer.of(2))
    expect(group.status().sets).toMatchObject({ applied: hold.report.set })
    hold.release()
    await group.closeSet()
    await group.whenApplied(set)
    expect([...imageOf(directory, 'a').subarray(0, 2)]).toEqual([1, 2])
  })

  test('a source that asks for one that is leaving goes to another one', async () => {
    const group = await openTestGroup({
      volumes: [{ name: 'a', size: 2 ** 24 }],
      secondary: { directory: temporaryDirectory() },
      componentMemoryBytes: 64 * 2 ** 20,
      formationPeriodMs: HOUR_MS
    })
    const source = group.openSource('s', { component: 1 })
    // So much that it takes a while to be secured.
    const data = Buffer.alloc(65536, 1)
    for (let n = 0; n < 256; n++) await source.volume('a').write(n * data.length, data)
    const viewing = nextView(group, ({ reason }) => reason === 'removed')
    const { view } = group.status()
    const removing = group.removeComponent(1)
    while (group.status().view === view || group.status().state !== 'running') {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const late = group.openSource('late', { component: 1 })
    const receipt = await late.volume('a').write(0, Buffer.of(1))
    expect(receipt.holders).not.toContain(1)
    await removing
    expect(await viewing).toMatchObject({ movedUpdates: 0 })
  })

  test('it dies before it could leave: the others take over what it held, the call resolves', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      volumes: COUNTED_VOLUMES,
      components: 4,
      secondary: { directory },
      formationPeriodMs: 10
    })
    const counters = new Counters(group, directory, 3, 0)
    for (let id = 0; id < 2; id++) {
      const gone = nextView(group, ({ component }) => component === id)
      await Promise.all([group.removeComponent(id), failComponent(group, id)])
      await gone
      expect(await counters.look()).toBe('a cut')
      expect(activeIds(group)).not.toContain(id)
    }
    // Nobody came in their place.
    expect(activeIds(group)).toEqual([2, 3])
    const last = await counters.end()
    await group.close()
    expect(counters.read()).toEqual(last.map((count) => [count, count, count]))
  })

  test('while it is joining, with its thread there or not: both calls settle and nobody else comes', async () => {
    const group = await openTestGroup({ volumes: EIGHT_VOLUMES, formationPeriodMs: HOUR_MS })
    for (const isThere of [true, false]) {
      const joined = nextView(group, isAdded)
      const adding = group.addComponent().catch((error) => error)
      // Asked after it, answered after it: the one that comes is seen. No set ends, so it stays one that joins.
      if (isThere) await joined
      else (await group.holdApplied()).release()
      const [id] = Object.entries(statesOf(group)).find(([, state]) => state === 'joining') as [string, string]
      const gone = nextView(group, ({ component, reason }) => component === Number(id) && reason === 'removed')
      await group.removeComponent(Number(id))
      // Nobody joins while a view is changing.
      if (isThere) await gone
      expect(await adding).toMatchObject({ code: 'TIDEMARK_UNKNOWN_COMPONENT', details: { component: Number(id) } })
      expect(statesOf(group)).toEqual({ 0: 'active', 1: 'active', 2: 'active' })
    }
    await group.openSource('s').volume('v0').write(0, Buffer.of(1))
    // Room and numbers are as before.
    const adding = group.addComponent()
    await nextView(group, isAdded)
    await group.closeSet()
    expect(activeIds(group)).toEqual([0, 1, 2, await adding])
  })
})

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as pass } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { failComponent } from '../../src/chaos.ts'
import type { BackupGroup, TidemarkError, ViewReport } from '../../src/index.ts'
import { activeIds, imageOf, openTestGroup, temporaryDirectory } from './support.ts'
import { COUNTED, COUNTED_VOLUMES, Counters, startWriter } from './writers.ts'

const HOUR_MS = 3600_000

function viewsOf(group: BackupGroup): ViewReport[] {
  const views: ViewReport[] = []
  group.on('view', (report) => views.push(report))
  return views
}

describe('a component that hangs', () => {
  test('is found out in about hangTimeoutMs; what its source has under way is taken by another one', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: HOUR_MS, hangTimeoutMs: 200 })
    const volume = group.openSource('s', { component: 1 }).volume('b')
    await volume.write(0, Buffer.of(1))
    const failing = failComponent(group, 1, 'hang')
    const writes = Array.from({ length: 200 }, (_, n) => volume.write(n, Buffer.of(n + 1)))
    const report = await failing
    expect(report).toMatchObject({ reason: 'hung', component: 1 })
    // The ticks within which its beat does not move may begin up to one tick after it has stopped.
    expect(report.detectedMs).toBeGreaterThan(150)
    expect(report.detectedMs).toBeLessThan(2000)
    await Promise.all(writes)
    expect(activeIds(group)).toEqual([0, 2, 3])
    await group.close()
    expect([...imageOf(directory, 'b').subarray(0, 200)]).toEqual(Array.from({ length: 200 }, (_, n) => n + 1))
  })

  test('when it sleeps and nobody needs it, it is found out all the same', async () => {
    const group = await openTestGroup({ formationPeriodMs: HOUR_MS, hangTimeoutMs: 100, spares: 0 })
    for (const id of [0, 1, 2]) expect(await failComponent(group, id, 'hang')).toMatchObject({ reason: 'hung' })
  })

  describe('two at once with one mirror: one more than may be ended on suspicion', () => {
    const options = { components: 2, spares: 2, formationPeriodMs: HOUR_MS, hangTimeoutMs: 100 }
    /** Ten times as long; timers count whole milliseconds. */
    const PATIENCE_MS = 80 * Math.floor(100 / 8)

    test('the second one is given up after ten times the time; what both had alone is lost, and told', async () => {
      const directory = temporaryDirectory()
      const group = await openTestGroup({ ...options, secondary: { directory } })
      const source = group.openSource('s')
      await source.volume('b').write(0, Buffer.of(1))
      await group.whenApplied((await group.closeSet()).set)
      const { set } = await source.volume('b').write(0, Buffer.of(2))
      const suspended = new Promise<TidemarkError>((resolve) => group.once('suspended', resolve))
      const began = performance.now()
      const failed = Promise.allSettled([0, 1].map((id) => failComponent(group, id, 'hang')))
      expect(await suspended).toMatchObject({ code: 'TIDEMARK_DATA_LOSS', details: { volumes: ['b'], sets: [set] } })
      expect(performance.now() - began).toBeGreaterThanOrEqual(PATIENCE_MS)
      const refused = { status: 'rejected', reason: { code: 'TIDEMARK_DATA_LOSS' } }
      expect(await failed).toMatchObject([refused, refused])
      await group.close()
      expect(imageOf(directory, 'b')[0]).toBe(1)
    })

    test('where nothing was lost it goes on then', async () => {
      const directory = temporaryDirectory()
      const group = await openTestGroup({ ...options, secondary: { directory } })
      const source = group.openSource('s')
      await source.volume('b').write(0, Buffer.of(1))
      await group.whenSecured((await group.closeSet()).set)
      const reports = await Promise.all([0, 1].map((id) => failComponent(group, id, 'hang')))
      expect(reports).toMatchObject([{ reason: 'hung' }, { reason: 'hung' }])
      const [first, second] = reports.map(({ detectedMs }) => detectedMs).sort((a, b) => a - b) as [number, number]
      expect(first).toBeLessThan(second)
      expect(second).toBeGreaterThanOrEqual(PATIENCE_MS - 100)
      await source.volume('b').write(1, Buffer.of(2))
      expect(activeIds(group)).toEqual([2, 3])
      await group.close()
      expect([...imageOf(directory, 'b').subarray(0, 2)]).toEqual([1, 2])
    })
  })

  test('after it is made up for, as many may be ended on suspicion again', async () => {
    const group = await openTestGroup({ components: 3, formationPeriodMs: HOUR_MS, hangTimeoutMs: 100 })
    const source = group.openSource('s')
    for (let round = 0; round < 4; round++) {
      await source.volume('a').write(round, Buffer.of(1))
      const report = await failComponent(group, activeIds(group)[0] as number, 'hang')
      expect(report.reason).toBe('hung')
      // Not by patience.
      expect(report.detectedMs).toBeLessThan(900)
    }
  })
})

describe('what is no hang', () => {
  test('busy components, more of them than cores; idle ones in a long period', async () => {
    const directory = temporaryDirectory()
    // On a machine that others use too a thread may get no core for hundreds of milliseconds, and cannot be told from one that hangs.
    const busy = await openTestGroup({
      components: 8,
      hangTimeoutMs: 1000,
      volumes: [...COUNTED_VOLUMES, { name: 'd', size: 2 ** 20 }],
      secondary: { directory },
      formationPeriodMs: 50
    })
    const idle = await openTestGroup({ components: 8, hangTimeoutMs: 100, formationPeriodMs: HOUR_MS })
    const views = [viewsOf(busy), viewsOf(idle)]
    await idle.openSource('s').volume('a').write(0, Buffer.of(1))
    const counters = new Counters(busy, directory, 2, 2)
    const stop = new SharedArrayBuffer(4)
    const task = { kind: 'never pause', blockBytes: 4096, blocks: 256 } as const
    const thread = startWriter(busy.exportSource('d'), 'd', task, stop)
    await new Promise<void>((resolve) => {
      const until = Date.now() + 4000
      busy.on('set', ({ state, consistencyTime }) => {
        if (state === 'formed' && consistencyTime > until) resolve()
      })
    })
    new Int32Array(stop)[0] = 1
    await thread.answer
    const last = await counters.end()
    expect(views).toEqual([[], []])
    await busy.close()
    expect(counters.read()).toEqual(last.map((count) => COUNTED.map(() => count)))
  }, 60_000)

  test('the whole process is stopped for five seconds and continued: nobody is lost, everything goes on', async () => {
    const directory = temporaryDirectory()
    const program = new URL('./stopped-program.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [program, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const said = new Said(child)
    expect(await said.next()).toEqual({ said: 'running' })
    const before = await said.ask('look')
    expect(before).toMatchObject({ said: 'look', cut: 'a cut', state: 'running', views: [] })
    child.kill('SIGSTOP')
    await pass(5000)
    child.kill('SIGCONT')
    // Long enough for whoever would be taken for hung to be so: many sets after it.
    let after = await said.ask('look')
    while (after.applied < before.applied + 50) {
      expect(after).toMatchObject({ said: 'look', cut: 'a cut', state: 'running', views: [], warnings: [] })
      after = await said.ask('look')
    }
    const end = await said.ask('end')
    expect(end).toMatchObject({ said: 'end', views: [], warnings: [] })
    expect(end.last).toHaveLength(4)
    expect(end.read).toEqual((end.last as string[]).map((count) => COUNTED.map(() => count)))
    for (const count of end.last as string[]) expect(Number(count)).toBeGreaterThan(0)
  }, 60_000)
})

interface Document {
  readonly applied: number
  readonly last?: string[]
  readonly read?: string[][]
}

/** What a program says, line by line. */
class Said {
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>

  constructor(child: ChildProcess) {
    this.child = child
    this.lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  }

  async next(): Promise<Document> {
    const { value, done } = await this.lines.next()
    if (done === true) throw new Error('the program has ended')
    return JSON.parse(value)
  }

  ask(what: string): Promise<Document> {
    this.child.stdin?.write(`${what}\n`)
    return this.next()
  }
}

test('the host blocks its loop for 3 s while a component exits: writers in threads hardly notice', async () => {
  const directory = temporaryDirectory()
  const blocks = 64
  const blockBytes = 256
  const names = ['v0', 'v1']
  const group = await openTestGroup({
    volumes: names.map((name) => ({ name, size: blocks * blockBytes })),
    secondary: { directory }
  })
  const stop = new SharedArrayBuffer(4)
  const threads = names.map((name) =>
    startWriter(group.exportSource(name), name, { kind: 'never pause', blockBytes, blocks }, stop)
  )
  await new Promise<void>((resolve) => {
    group.on('set', ({ updates }) => {
      if (updates > 1000) resolve()
    })
  })
  const victim = group.status().volumes[0]?.responsible as number
  const failing = failComponent(group, victim, 'exit')
  const began = performance.now()
  let redundantAt: number | undefined
  let takenAfterwards = 0
  while (performance.now() - began < 3000) {
    // Read from shared memory: no message is heard in this loop.
    const { state, components } = group.status()
    if (components.some(({ id }) => id === victim) || state !== 'running') continue
    if (components.filter((component) => component.state === 'active').length < 3) continue
    redundantAt ??= performance.now() - began
    takenAfterwards = Math.max(takenAfterwards, components.find(({ id }) => id === 3)?.takenUpdates ?? 0)
  }
  expect(redundantAt).toBeLessThan(2500)
  // The one in its place has taken over its sources, and they did not stop.
  expect(takenAfterwards).toBeGreaterThan(1000)
  const report = await failing
  expect(report).toMatchObject({ reason: 'failed', component: victim })
  expect(report.redundantMs).toBeLessThan(1000)
  new Int32Array(stop)[0] = 1
  const answers = (await Promise.all(threads.map(({ answer }) => answer))) as { written: number; longestMs: number }[]
  for (const { longestMs } of answers) expect(longestMs).toBeLessThan(1000)
  await group.close()
  for (const [n, { written }] of answers.entries()) {
    const image = imageOf(directory, names[n] as string)
    for (let block = written - blocks; block < written; block++) {
      expect(image.readUInt32LE((block % blocks) * blockBytes)).toBe(block + 1)
    }
  }
}, 60_000)

import { describe, expect, test } from 'vitest'
import type { BackupGroup, TidemarkError } from '../../src/index.ts'
import { imageOf, openTestGroup, temporaryDirectory } from './support.ts'
import { startWriter } from './writers.ts'

function blockThisThread(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** As long as the test runner gives it: a minute or more with TIDEMARK_SOAK_SECONDS. */
const soakMs = Number(process.env.TIDEMARK_SOAK_SECONDS ?? 4) * 1000

describe('threads', () => {
  test('an exported source works in another thread, which ends by itself when nothing is pending', async () => {
    const group = await openTestGroup()
    const thread = startWriter(group.exportSource('s'), 'a', { kind: 'one write' })
    expect(await thread.answer).toMatchObject({ volume: 'a' })
    expect(await thread.exited).toBe(0)
    // Its thread is gone; it is closed from here, and its name is free.
    await group.closeSource('s')
    await group.openSource('s').close()
    await group.closeSource('nobody')
  })

  test('a port attaches once', async () => {
    const group = await openTestGroup()
    const thread = startWriter(group.exportSource('s'), 'a', { kind: 'attach twice' })
    expect(await thread.answer).toBe('TIDEMARK_LOCKED')
    await thread.exited
  })

  test('a host that blocks its event loop stops nothing', async () => {
    const group = await openTestGroup({ formationPeriodMs: 10 })
    const stop = new SharedArrayBuffer(4)
    const thread = startWriter(group.exportSource('s'), 'a', { kind: 'never pause', blockBytes: 64, blocks: 100 }, stop)
    await new Promise<void>((resolve) => {
      group.on('set', ({ updates }) => {
        if (updates > 0) resolve()
      })
    })
    const before = group.status()
    blockThisThread(1000)
    const [taken, takenBefore] = [group.status(), before].map(({ components }) =>
      components.reduce((sum, { takenUpdates }) => sum + takenUpdates, 0)
    ) as [number, number]
    // Many times what the memory holds: sets were closed and discarded meanwhile.
    expect(taken - takenBefore).toBeGreaterThan(20_000)
    new Int32Array(stop)[0] = 1
    await thread.answer
    await thread.exited
    await group.whenApplied()
    const { sets } = group.status()
    expect(sets.forming - before.sets.forming).toBeGreaterThan(30)
  })

  test('idle components sleep: below 2 % of one core with 4 of them, a spare, and all watched for hangs', async () => {
    const options = { components: 4, spares: 1, hangTimeoutMs: 1000, formationPeriodMs: 1000 }
    const group = await openTestGroup(options)
    expect(group.status().components).toHaveLength(5)
    await group.openSource('s').volume('a').write(0, Buffer.of(1))
    await closedSets(group, 1)
    const before = process.cpuUsage()
    const began = performance.now()
    await closedSets(group, 4)
    const { user, system } = process.cpuUsage(before)
    const share = (user + system) / 1000 / (performance.now() - began)
    expect(share).toBeLessThan(0.02)
  })

  test(
    'writers that never pause with 4 MiB a component: paced, memory bounded, every byte right',
    async () => {
      const directory = temporaryDirectory()
      const blockBytes = 4096
      const blocks = 64
      const volumes = Array.from({ length: 4 }, (_, n) => ({ name: `v${n}`, size: blockBytes * blocks }))
      const componentMemoryBytes = 4 * 2 ** 20
      const group = await openTestGroup({
        volumes,
        components: 4,
        componentMemoryBytes,
        secondary: { directory },
        // Without pressure this period would never end.
        formationPeriodMs: 3600_000
      })
      const pressed: string[] = []
      group.on('pressure', ({ step, state }) => pressed.push(`${step} ${state}`))
      const stop = new SharedArrayBuffer(4)
      const threads = volumes.map(({ name }) =>
        startWriter(group.exportSource(name), name, { kind: 'never pause', blockBytes, blocks }, stop)
      )
      await closedSets(group, 3)
      const rssBefore = process.memoryUsage.rss()
      const until = performance.now() + soakMs
      let sets = 0
      let mostHeld = 0
      while (performance.now() < until) {
        await closedSets(group, 1)
        sets++
        for (const { heldBytes } of group.status().components) mostHeld = Math.max(mostHeld, heldBytes)
      }
      expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(256 * 2 ** 20)
      expect(mostHeld).toBeLessThanOrEqual(componentMemoryBytes)
      new Int32Array(stop)[0] = 1
      const answers = (await Promise.all(threads.map(({ answer }) => answer))) as {
        written: number
        longestMs: number
      }[]
      await Promise.all(threads.map(({ exited }) => exited))
      await group.close()
      expect(sets).toBeGreaterThan(10)
      expect(pressed).toContain('close-early begin')
      expect(pressed).toContain('close-early end')
      answers.forEach(({ written, longestMs }, n) => {
        const image = imageOf(directory, `v${n}`)
        const expected = Buffer.alloc(blockBytes * blocks)
        for (let block = Math.max(0, written - blocks); block < written; block++) {
          const at = (block % blocks) * blockBytes
          for (let k = 0; k < blockBytes; k += 4) expected.writeUInt32LE(block + 1, at + k)
        }
        expect(image.equals(expected)).toBe(true)
        expect(written).toBeGreaterThan(blocks)
        expect(longestMs).toBeLessThan(10_000)
      })
    },
    soakMs + 60_000
  )
})

/** Resolves when so many more sets have been applied. */
function closedSets(group: BackupGroup, count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0
    const onSet = ({ state }: { state: string }): void => {
      if (state !== 'applied' || ++seen < count) return
      group.off('set', onSet)
      resolve()
    }
    group.on('set', onSet)
  })
}

describe('a thread of the host dies with its source attached', () => {
  test('it is found out: what it had posted whole is kept, its name is free again, others go on', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory } })
    const stop = new SharedArrayBuffer(4)
    const task = { kind: 'never pause', blockBytes: 64, blocks: 8 } as const
    const port = group.exportSource('doomed')
    const thread = startWriter(port, 'a', task, stop)
    const other = group.openSource('other')
    const warned = new Promise<TidemarkError>((resolve) => group.once('warning', resolve))
    await untilTaken(group)
    await thread.worker.terminate()
    const warning = await warned
    expect(warning).toMatchObject({ code: 'TIDEMARK_CLOSED', details: { source: 'doomed' } })
    await other.volume('b').write(0, Buffer.of(7))
    await group.closeSource('doomed')
    await group.openSource('doomed').volume('b').write(1, Buffer.of(8))
    await group.close()
    expect([...imageOf(directory, 'b').subarray(0, 2)]).toEqual([7, 8])
    // Each block is as some write of it left it: whole.
    const blocks = new Uint32Array(new Uint8Array(imageOf(directory, 'a').subarray(0, 512)).buffer)
    for (let block = 0; block < 8; block++) expect(new Set(blocks.subarray(block * 16, block * 16 + 16)).size).toBe(1)
  })
})

/** Resolves when components have taken something. */
async function untilTaken(group: BackupGroup): Promise<void> {
  while (!group.status().components.some(({ takenUpdates }) => takenUpdates > 0)) {
    await new Promise<void>((resolve) => group.once('set', () => resolve()))
  }
}

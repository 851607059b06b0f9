/** R8: only metadata is mirrored; what a failed component held is fetched again from the primary. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { failComponent } from '../../src/chaos.ts'
import type { BackupGroup, TidemarkError } from '../../src/index.ts'
import { activeIds, imageOf, openTestGroup, seeded, temporaryDirectory } from './support.ts'

const HOUR_MS = 3600_000
const SIZE = 64 * 1024

/** A primary volume in memory: written at once, as the update is posted. */
class Primary {
  readonly image = Buffer.alloc(SIZE)
  fetches = 0

  refetch = async (_volume: string, offset: number, length: number): Promise<Uint8Array> => {
    this.fetches++
    return this.image.subarray(offset, offset + length)
  }
}

async function failResponsible(group: BackupGroup): Promise<void> {
  const { responsible } = group.status().volumes[0] as { responsible: number }
  await failComponent(group, responsible)
}

describe('metadata-only mirrors', () => {
  for (const takeover of ['spare', 'survivors'] as const) {
    for (const mirrors of [1, 2]) {
      test(`${takeover}, ${mirrors} mirrors: the bytes of a dead component are fetched again, sets are applied as one`, async () => {
        const directory = temporaryDirectory()
        const primary = new Primary()
        const group = await openTestGroup({
          volumes: [{ name: 'v', size: SIZE }],
          components: 4,
          secondary: { directory },
          mirrors,
          takeover,
          mirrorContent: 'metadata',
          refetch: primary.refetch,
          formationPeriodMs: HOUR_MS
        })
        const volume = group.openSource('s').volume('v')
        const write = (at: number, value: number): Promise<unknown> => {
          const data = Buffer.alloc(100, value)
          const posted = volume.write(at * 100, data)
          data.copy(primary.image, at * 100)
          return posted
        }
        for (let n = 0; n < 50; n++) await write(n, 1)
        await volume.zero(4900, 100)
        primary.image.fill(0, 4900, 5000)
        // Mirrors take a header each, whoever holds them.
        const bytes = group.status().components.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
        expect(bytes).toBeLessThan(51 * (156 + 8) + 51 * mirrors * 64 + 100)
        const reports: { set: number; state: string }[] = []
        group.on('set', ({ set, state }) => reports.push({ set, state }))
        await failResponsible(group)
        // Newer than what was lost: whatever is fetched from now on shows it.
        for (let n = 0; n < 20; n++) await write(n, 2)
        await group.closeSet()
        const applied = await group.whenApplied()
        expect(primary.fetches).toBeGreaterThan(0)
        expect(imageOf(directory, 'v').equals(primary.image)).toBe(true)
        expect(reports.filter(({ state }) => state === 'applied').map(({ set }) => set)).toContain(applied.set)
        await group.close()
      })
    }
  }

  test('by a module, off the host: it works while the host is busy', async () => {
    const [directory, primary] = [temporaryDirectory(), temporaryDirectory()]
    mkdirSync(primary, { recursive: true })
    process.env.TIDEMARK_TEST_PRIMARY = primary
    const image = Buffer.alloc(SIZE)
    const group = await openTestGroup({
      volumes: [{ name: 'v', size: SIZE }],
      secondary: { directory },
      mirrorContent: 'metadata',
      refetch: new URL('./refetch-module.ts', import.meta.url),
      formationPeriodMs: HOUR_MS
    })
    const volume = group.openSource('s').volume('v')
    for (let n = 0; n < 30; n++) {
      image.fill(n + 1, n * 10, n * 10 + 10)
      await volume.write(n * 10, image.subarray(n * 10, n * 10 + 10))
    }
    writeFileSync(path.join(primary, 'v'), image)
    await failResponsible(group)
    await group.closeSet()
    await group.whenApplied()
    expect(imageOf(directory, 'v').equals(image)).toBe(true)
  })

  test('under load with failures again and again: every applied set is a consistent cut, every byte arrives', async () => {
    const directory = temporaryDirectory()
    const images = new Map(['a', 'b', 'c'].map((name) => [name, Buffer.alloc(64)]))
    const group = await openTestGroup({
      volumes: [...images.keys()].map((name) => ({ name, size: 64 })),
      components: 4,
      secondary: { directory },
      mirrorContent: 'metadata',
      refetch: async (name, offset, length) => (images.get(name) as Buffer).subarray(offset, offset + length),
      formationPeriodMs: 10
    })
    const random = seeded(5)
    let over = false
    const last: bigint[] = []
    const writers = Array.from({ length: 3 }, async (_, n) => {
      const source = group.openSource(`writer-${n}`)
      const value = Buffer.alloc(8)
      for (let count = 1n; !over; count++) {
        value.writeBigUInt64LE(count)
        for (const [name, image] of images) {
          const posted = source.volume(name).write(n * 8, value)
          value.copy(image, n * 8)
          await posted
        }
        last[n] = count
      }
    })
    for (let kill = 0; kill < 15; kill++) {
      const active = activeIds(group)
      await failComponent(group, active[random(active.length)] as number)
      const hold = await group.holdApplied()
      for (let n = 0; n < 3; n++) {
        const [a, b, c] = [...images.keys()].map((name) => imageOf(directory, name).readBigUInt64LE(n * 8)) as [
          bigint,
          bigint,
          bigint
        ]
        expect(a >= b && b >= c && c >= a - 1n, `kill ${kill}, writer ${n}: ${a} ${b} ${c}`).toBe(true)
      }
      hold.release()
    }
    over = true
    await Promise.all(writers)
    await group.close()
    for (const [name, image] of images) {
      expect(imageOf(directory, name).equals(image)).toBe(true)
      for (let n = 0; n < 3; n++) expect(image.readBigUInt64LE(n * 8)).toBe(last[n])
    }
  }, 60_000)

  test('a fetch that fails is told, and tried again', async () => {
    const primary = new Primary()
    const group = await openTestGroup({
      volumes: [{ name: 'v', size: SIZE }],
      secondary: { directory: temporaryDirectory() },
      mirrorContent: 'metadata',
      refetch: async (volume, offset, length) => {
        if (primary.fetches++ === 0) throw new Error('the array is rebooting')
        if (primary.fetches === 2) return new Uint8Array(length + 1)
        return primary.refetch(volume, offset, length)
      },
      formationPeriodMs: HOUR_MS
    })
    const warnings: TidemarkError[] = []
    group.on('warning', (warning) => warnings.push(warning))
    await group.openSource('s').volume('v').write(0, Buffer.of(0))
    await failResponsible(group)
    await group.closeSet()
    await group.whenApplied()
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('the array is rebooting'),
      expect.stringContaining('it gave 2 bytes for 1 bytes')
    ])
  })

  test('without a way to fetch it is refused', async () => {
    const open = openTestGroup({ mirrorContent: 'metadata' })
    await expect(open).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { option: 'refetch' } })
    const odd = openTestGroup({ mirrorContent: 'metadata', refetch: 'file:///x' as unknown as URL })
    await expect(odd).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { option: 'refetch' } })
  })
})

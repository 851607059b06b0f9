import { describe, expect, test } from 'vitest'
import type { BackupGroup, TidemarkError } from '../../src/index.ts'
import { imageOf, openTestGroup, seeded, temporaryDirectory } from './support.ts'

type Failure = 'terminate' | 'exit' | 'throw'

/** Makes a component fail and resolves when everything is redundant again. */
function fail(group: BackupGroup, slot: number, how: Failure): Promise<TidemarkError> {
  const replaced = new Promise<TidemarkError>((resolve, reject) => {
    const onWarning = (warning: TidemarkError): void => {
      group.off('suspended', reject)
      resolve(warning)
    }
    group.once('warning', onWarning)
    group.once('suspended', reject)
  })
  ;(group as unknown as { failComponent(slot: number, how: Failure): void }).failComponent(slot, how)
  return replaced
}

describe('a component fails', () => {
  for (const how of ['terminate', 'exit', 'throw'] as const) {
    test(`by ${how}: a spare takes its place, no source sees an error, nothing acknowledged is lost`, async () => {
      const directory = temporaryDirectory()
      const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: 3600_000 })
      const source = group.openSource('s', { component: 1 })
      const model = Buffer.alloc(1000)
      for (let n = 0; n < 100; n++) {
        model[n] = n + 1
        await source.volume('b').write(n, Buffer.of(n + 1))
      }
      for (let slot = 0; slot < 3; slot++) {
        await fail(group, slot, how)
        model[200 + slot] = 7
        await source.volume('b').write(200 + slot, Buffer.of(7))
        // Each of them is held twice again, all in the same set still.
        const held = [0, 1, 2].reduce((sum, id) => sum + group.heldUpdates(id).length, 0)
        expect(held).toBe(2 * (101 + slot))
      }
      expect(group.status()).toMatchObject({ state: 'running', view: 4 })
      await group.close()
      expect(imageOf(directory, 'b').equals(model)).toBe(true)
    })
  }

  test('under load, again and again: every set is a consistent cut, every acknowledged update arrives', async () => {
    const directory = temporaryDirectory()
    const names = ['a', 'b', 'c']
    const group = await openTestGroup({
      volumes: names.map((name) => ({ name, size: 64 })),
      components: 4,
      secondary: { directory },
      formationPeriodMs: 10
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
      await fail(group, random(4), (['terminate', 'exit', 'throw'] as const)[random(3)] as Failure)
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

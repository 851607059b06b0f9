import fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { PrimaryFile } from '../../src/index.ts'
import { openTestGroup, seeded } from '../api/support.ts'
import { areSame, contentOf, imagePathOf, makePlace, openGroupAt, SIZE } from './support.ts'

function flip(file: string, offset: number): void {
  const fd = fs.openSync(file, 'r+')
  const byte = Buffer.alloc(1)
  fs.readSync(fd, byte, 0, 1, offset)
  fs.writeSync(fd, Buffer.of((byte[0] as number) ^ 0x40), 0, 1, offset)
  fs.closeSync(fd)
}

/** Writes everywhere, over and over, until told to stop. */
function writeOn(file: PrimaryFile, seed: number): { stop(): Promise<number> } {
  const draw = seeded(seed)
  let isOver = false
  let writes = 0
  const lanes = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const length = 1 + draw(9000)
      await file.write(draw(SIZE - length), contentOf(length, draw(1000)))
      writes++
    }
  })
  const stop = async (): Promise<number> => {
    isOver = true
    await Promise.all(lanes)
    return writes
  }
  return { stop }
}

test('no false alarm while writers are everywhere at full rate', async () => {
  const place = makePlace()
  const group = await openGroupAt(place)
  const file = await group.openPrimaryFile('a', place.primary)
  await file.synchronised()
  const writing = writeOn(file, 3)
  const progress: number[] = []
  for (let round = 0; round < 4; round++) {
    const before = group.status().sets.applied
    const report = await group.verify({
      onProgress: ({ bytes, totalBytes, bytesPerSecond }) => {
        expect(totalBytes).toBe(SIZE)
        expect(bytesPerSecond).toBeGreaterThanOrEqual(0)
        progress.push(bytes)
      }
    })
    expect(report).toEqual({ ok: true, set: report.set, volumes: [{ name: 'a', bytes: SIZE, differences: [] }] })
    expect(report.set).toBeGreaterThanOrEqual(before)
    expect(progress.at(-1)).toBe(SIZE)
  }
  expect(await writing.stop()).toBeGreaterThan(50)
  await group.close()
  expect(areSame(place)).toBe(true)
})

describe('bytes that are not as they should be are found where they are', () => {
  test.each([
    { under: 'no load', isWritten: false },
    { under: 'load elsewhere', isWritten: true }
  ])('under $under', async ({ isWritten }) => {
    const place = makePlace()
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    await file.synchronised()
    let isOver = false
    const writing = (async () => {
      // Within the first 64 KiB.
      while (isWritten && !isOver) await file.write(100, contentOf(5000, 9))
    })()
    const offsets = [70_000, 200_001, 2 ** 20 - 1, 2 ** 20, SIZE - 1]
    for (const offset of offsets) flip(imagePathOf(place), offset)
    const report = await group.verify()
    isOver = true
    await writing
    expect(report.ok).toBe(false)
    expect(report.volumes[0]?.differences).toEqual([
      { offset: 70_000, length: 1 },
      { offset: 200_001, length: 1 },
      // They touch, in two ranges that are compared apart.
      { offset: 2 ** 20 - 1, length: 2 },
      { offset: SIZE - 1, length: 1 }
    ])
    for (const offset of offsets) flip(imagePathOf(place), offset)
    expect((await group.verify()).ok).toBe(true)
  })
})

test('several volumes; those without a primary file are not in the report', async () => {
  const place = makePlace()
  const volumes = [
    { name: 'x', size: 5000 },
    { name: 'a', size: SIZE }
  ]
  const group = await openGroupAt(place, { volumes })
  await expect(group.verify()).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
  const file = await group.openPrimaryFile('a', place.primary)
  expect((await group.verify()).volumes.map(({ name }) => name)).toEqual(['a'])
  await file.close()
  await expect(group.verify()).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
})

test('is given up by its signal, and at the end of the group', async () => {
  const place = makePlace()
  const group = await openGroupAt(place)
  const file = await group.openPrimaryFile('a', place.primary)
  await file.synchronised()
  const reason = new Error('enough')
  await expect(group.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  // What is written now is not applied before it is released: that range can be compared neither cold nor locked.
  const hold = await group.holdApplied()
  const { set } = await file.write(0, Buffer.from('after'))
  await group.whenSecured(set)
  const controller = new AbortController()
  const verifying = group.verify({ signal: controller.signal })
  await group.closeSet()
  controller.abort(reason)
  await expect(verifying).rejects.toBe(reason)
  // Nobody is kept out any more, nothing is held back.
  await file.write(0, Buffer.from('again'))
  hold.release()
  await group.whenApplied()
  await group.close()
  expect(areSame(place)).toBe(true)
  await expect(group.verify()).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
  await expect((await openTestGroup()).verify()).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
})

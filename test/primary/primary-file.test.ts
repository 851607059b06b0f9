import fs from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { openTestGroup, seeded, temporaryDirectory } from '../api/support.ts'
import { areSame, contentOf, imagePathOf, makePlace, openGroupAt, SIZE } from './support.ts'

/** Calls of file handles, to be replaced. */
async function handleCalls(): Promise<fs.promises.FileHandle> {
  const handle = await fs.promises.open(import.meta.filename)
  await handle.close()
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  return Object.getPrototypeOf(handle) as fs.promises.FileHandle
}

function pathOf(handle: fs.promises.FileHandle): string {
  return fs.readlinkSync(`/proc/self/fd/${handle.fd}`)
}

test('writes go to the file and to the group, reads show them', async () => {
  const place = makePlace()
  const group = await openGroupAt(place)
  await using file = await group.openPrimaryFile('a', place.primary)
  expect(file.volume).toBe('a')
  const data = Buffer.from('balance 300')
  const writing = file.write(65530, data)
  // Both sides have what it was when it was called.
  data.fill(0)
  const target = new Uint8Array(11)
  await file.read(65530, target)
  expect(Buffer.from(target).toString()).toBe('balance 300')
  const receipt = await writing
  expect(receipt).toMatchObject({ volume: 'a' })
  expect(receipt.holders.length).toBe(2)
  await file.zero(10, 2 ** 20)
  await file.write(SIZE, new Uint8Array(0))
  await file.write(0, new Float64Array([1, 2]))
  await file.sync()
  const held = fs.readFileSync(place.primary)
  expect(held.readDoubleLE(8)).toBe(2)
  expect(held.subarray(16, 2 ** 20 + 10).every((byte) => byte === 0)).toBe(true)
  await file.synchronised()
  await group.close()
  expect(areSame(place)).toBe(true)
})

test('more than one update may have goes as several, all over the log', async () => {
  const place = makePlace()
  const group = await openGroupAt(place, { componentMemoryBytes: 2 ** 21 })
  const file = await group.openPrimaryFile('a', place.primary, { activityRegions: 4 })
  const bytes = contentOf(SIZE - 100, 3)
  await file.write(50, bytes)
  await file.zero(300_000, 1_500_000)
  bytes.fill(0, 300_000 - 50, 1_800_000 - 50)
  await group.close()
  expect(fs.readFileSync(place.primary).subarray(50, SIZE - 50)).toEqual(bytes)
  expect(areSame(place)).toBe(true)
})

test('overlapping calls reach file and group in the order in which they were made, however long the file takes', async () => {
  const calls = await handleCalls()
  const { write } = calls
  const draw = seeded(4)
  vi.spyOn(calls, 'write').mockImplementation(async function (this: fs.promises.FileHandle, ...given: unknown[]) {
    for (let turns = draw(12); turns > 0; turns--) await setImmediate()
    return await (write as (...all: unknown[]) => Promise<never>).apply(this, given)
  })
  const place = makePlace()
  const group = await openGroupAt(place)
  const file = await group.openPrimaryFile('a', place.primary, { activityRegions: 6 })
  await file.synchronised()
  const model = fs.readFileSync(place.primary)
  const calling: Promise<unknown>[] = []
  for (let n = 0; n < 400; n++) {
    const length = 1 + draw(n % 40 === 0 ? 200_000 : 600)
    // Few places: most of them overlap, across regions.
    const offset = 65536 * (1 + draw(8)) - draw(300)
    if (n % 9 === 0) {
      calling.push(file.zero(offset, length))
      model.fill(0, offset, offset + length)
      continue
    }
    const bytes = contentOf(length, n)
    calling.push(file.write(offset, bytes))
    bytes.copy(model, offset)
    if (n % 50 === 0) {
      const [now, target] = [Buffer.from(model.subarray(0, 700_000)), Buffer.alloc(700_000)]
      calling.push(file.read(0, target).then(() => expect(target.equals(now)).toBe(true)))
    }
  }
  await Promise.all(calling)
  await group.close()
  expect(fs.readFileSync(place.primary).equals(model)).toBe(true)
  expect(areSame(place)).toBe(true)
})

describe('what is refused', () => {
  test('when it is opened; and nothing is left behind', async () => {
    const place = makePlace()
    const group = await openGroupAt(place)
    const open = (volume: string, file: string, options = {}) => group.openPrimaryFile(volume, file, options)
    await expect(open('b', place.primary)).rejects.toMatchObject({ code: 'TIDEMARK_UNKNOWN_VOLUME' })
    await expect(open('a', path.join(place.directory, 'missing'))).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    await expect(open('a', place.directory)).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    await expect(open('a', '')).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    await expect(open('a', place.primary, { activityRegions: 3 })).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    const reason = new Error('no')
    await expect(open('a', place.primary, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const longer = path.join(place.directory, 'longer')
    fs.writeFileSync(longer, Buffer.alloc(SIZE + 1))
    await expect(open('a', longer)).rejects.toMatchObject({
      code: 'TIDEMARK_MISMATCH',
      details: { size: SIZE + 1, expected: SIZE }
    })
    expect(fs.readdirSync(place.directory).sort()).toEqual(['a.img', 'longer', 'secondary'])
    // Sets end again, and it can be opened.
    await group.closeSet()
    const file = await open('a', place.primary)
    await file.synchronised()
    await file.close()
    expect(areSame(place)).toBe(true)
  })

  test('a second one: in the group, and in another one', async () => {
    const place = makePlace()
    const group = await openGroupAt(place)
    const opening = group.openPrimaryFile('a', place.primary)
    await expect(group.openPrimaryFile('a', place.primary)).rejects.toMatchObject({ code: 'TIDEMARK_LOCKED' })
    const file = await opening
    const other = await openGroupAt({ ...place, secondary: path.join(place.directory, 'other') })
    const link = path.join(place.directory, 'link')
    fs.symlinkSync(place.primary, link)
    await expect(other.openPrimaryFile('a', link)).rejects.toMatchObject({ code: 'TIDEMARK_LOCKED' })
    await file.close()
    await (await other.openPrimaryFile('a', link)).close()
  })

  test('where there is nothing to compare with, and where bytes would have to be fetched', async () => {
    const primary = path.join(temporaryDirectory(), 'a')
    fs.writeFileSync(primary, Buffer.alloc(65536))
    const discarding = await openTestGroup()
    await expect(discarding.openPrimaryFile('a', primary)).rejects.toMatchObject({
      code: 'TIDEMARK_OPTIONS',
      details: { option: 'secondary' }
    })
    const fetching = await openTestGroup({
      secondary: { directory: path.join(temporaryDirectory(), 's') },
      mirrorContent: 'metadata',
      refetch: async (_volume, _offset, length) => new Uint8Array(length)
    })
    await expect(fetching.openPrimaryFile('a', primary)).rejects.toMatchObject({
      code: 'TIDEMARK_OPTIONS',
      details: { option: 'mirrorContent' }
    })
  })

  test('ranges and data that are none; calls after the end', async () => {
    const place = makePlace()
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    await file.synchronised()
    const one = Buffer.alloc(1)
    for (const offset of [-1, SIZE, 0.5, Number.NaN]) {
      await expect(file.write(offset, one)).rejects.toMatchObject({ code: 'TIDEMARK_OUT_OF_RANGE' })
      await expect(file.zero(offset, 1)).rejects.toMatchObject({ code: 'TIDEMARK_OUT_OF_RANGE' })
      await expect(file.read(offset, one)).rejects.toMatchObject({ code: 'TIDEMARK_OUT_OF_RANGE' })
    }
    await expect(file.zero(0, -1)).rejects.toMatchObject({ code: 'TIDEMARK_OUT_OF_RANGE' })
    const text = 'text' as unknown as Uint8Array
    await expect(file.write(0, text)).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    await expect(file.read(0, text)).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS' })
    const last = file.write(0, one)
    await Promise.all([file.close(), file.close(), last])
    for (const call of [() => file.write(0, one), () => file.zero(0, 1), () => file.read(0, one), () => file.sync()]) {
      await expect(call()).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
    }
    expect(areSame(place)).toBe(true)
  })
})

test('P3: it is on the disk before it is compared', async () => {
  const calls = await handleCalls()
  const place = makePlace()
  const group = await openGroupAt(place)
  const order: string[] = []
  const { datasync } = calls
  vi.spyOn(calls, 'datasync').mockImplementation(async function (this: fs.promises.FileHandle) {
    const isPrimary = pathOf(this) === place.primary
    for (let turns = 0; turns < 20; turns++) await setImmediate()
    await datasync.call(this)
    if (isPrimary) order.push('synced')
  })
  const file = await group.openPrimaryFile('a', place.primary)
  order.push(`opened, ${file.synchronisation.bytesRead} bytes compared`)
  expect(order).toEqual(['synced', 'opened, 0 bytes compared'])
  await file.synchronised()
})

test('a user who holds back applying does not keep the group from its end', async () => {
  const place = makePlace()
  const group = await openGroupAt(place)
  await group.holdApplied()
  const file = await group.openPrimaryFile('a', place.primary)
  await file.write(5, Buffer.from('bytes'))
  await group.close()
  const again = await openGroupAt(place)
  const reopened = await again.openPrimaryFile('a', place.primary)
  await reopened.synchronised()
  expect(areSame(place)).toBe(true)
})

describe('when the file fails', () => {
  test('a write: both sides hold what the file holds, and it goes on', async () => {
    const calls = await handleCalls()
    const place = makePlace()
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    await file.synchronised()
    const { write } = calls
    let isFull = true
    vi.spyOn(calls, 'write').mockImplementation(async function (this: fs.promises.FileHandle, ...given: unknown[]) {
      const all = write as (...all: unknown[]) => Promise<never>
      if (!isFull || pathOf(this) !== place.primary) return await all.apply(this, given)
      isFull = false
      // Half of it was written.
      const [bytes, from, length, position] = given as [Buffer, number, number, number]
      await all.apply(this, [bytes, from, length >> 1, position])
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    })
    await expect(file.write(1000, contentOf(5000, 8))).rejects.toMatchObject({ code: 'TIDEMARK_NO_SPACE' })
    await file.write(4000, contentOf(10, 9))
    await group.close()
    expect(areSame(place)).toBe(true)
    const again = await openGroupAt(place)
    const reopened = await again.openPrimaryFile('a', place.primary)
    expect(reopened.synchronisation.reason).toBe('none')
  })

  test('a sync: nothing is taken any more, and what may have been lost is compared at the next opening', async () => {
    const calls = await handleCalls()
    const place = makePlace()
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    await file.synchronised()
    await file.write(70_000, contentOf(100, 2))
    const { datasync } = calls
    vi.spyOn(calls, 'datasync').mockImplementation(async function (this: fs.promises.FileHandle) {
      if (pathOf(this) !== place.primary) return await datasync.call(this)
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
    })
    await expect(file.sync()).rejects.toMatchObject({ code: 'TIDEMARK_CORRUPT' })
    await expect(file.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'TIDEMARK_CORRUPT' })
    await file.read(0, Buffer.alloc(1))
    vi.restoreAllMocks()
    await group.close()
    const again = await openGroupAt(place)
    const reopened = await again.openPrimaryFile('a', place.primary)
    await reopened.synchronised()
    expect(reopened.synchronisation).toMatchObject({ reason: 'crash', totalBytes: 65536 })
  })
})

test('a group that ends undrained: what is under way is told so, and compared at the next opening', async () => {
  const place = makePlace()
  const group = await openGroupAt(place, { formationPeriodMs: 60_000 })
  const file = await group.openPrimaryFile('a', place.primary)
  await file.synchronised()
  for (let n = 0; n < 20; n++) await file.write(n * 100_000, contentOf(3000, n))
  await group.close({ drain: false })
  await expect(file.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
  expect(areSame(place)).toBe(false)
  const again = await openGroupAt(place)
  const reopened = await again.openPrimaryFile('a', place.primary)
  await reopened.synchronised()
  const { reason, bytesSent, mixedSets } = reopened.synchronisation
  expect({ reason, mixedSets }).toEqual({ reason: 'crash', mixedSets: 0 })
  expect(bytesSent).toBeGreaterThan(50_000)
  expect(bytesSent).toBeLessThan(70_000)
  expect(areSame(place)).toBe(true)
  expect(fs.existsSync(`${place.primary}.tidemark.lock`)).toBe(true)
  await again.close()
  expect(fs.existsSync(`${place.primary}.tidemark.lock`)).toBe(false)
  expect(fs.readFileSync(imagePathOf(place)).length).toBe(SIZE)
})

import fs from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Receipt, SetReport, VolumeWriter } from '../../src/index.ts'
import { ActivityLog } from '../../src/primary/activity-log.ts'
import { SLOT_BYTES } from '../../src/primary/activity-record.ts'
import { RangeLocks } from '../../src/primary/range-locks.ts'
import { Synchronisation } from '../../src/primary/synchronisation.ts'
import { run } from './crash-support.ts'
import { areSame, contentOf, imagePathOf, makePlace, openGroupAt, type Place, SIZE } from './support.ts'

const MIB = 2 ** 20

describe('the first synchronisation', () => {
  test('goes on beside writes; what reads as zeros on both sides is not sent', async () => {
    const content = contentOf(SIZE, 1)
    content.fill(0, 300_000, 1_500_000)
    const place = makePlace(content)
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    expect(file.synchronisation).toMatchObject({ state: 'running', reason: 'first', totalBytes: SIZE, set: null })
    const writing = Array.from({ length: 60 }, (_, n) => file.write((n * 41_113) % (SIZE - 3000), contentOf(3000, n)))
    await file.synchronised()
    await Promise.all(writing)
    const { state, bytesRead, bytesSent } = file.synchronisation
    expect(state).toBe('done')
    expect(bytesRead).toBe(SIZE)
    expect(bytesSent).toBeLessThan(SIZE - 1_000_000)
    await group.close()
    expect(areSame(place)).toBe(true)
  })

  test('has nothing to read where both files have no blocks', async () => {
    const place = makePlace(Buffer.alloc(0))
    fs.truncateSync(place.primary, SIZE)
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    await file.synchronised()
    expect(file.synchronisation).toMatchObject({ state: 'done', bytesRead: 0, bytesSent: 0 })
    await file.write(SIZE - 5, Buffer.from('bytes'))
    await group.close()
    expect(areSame(place)).toBe(true)
  })

  test('goes on where it was after a kill', { timeout: 60_000 }, async () => {
    const size = 12 * MIB
    const place = makePlace(contentOf(size, 2))
    const all = { from: 0, to: size }
    const task = { directory: place.directory, size, all, writes: all, isQuiet: true }
    fs.renameSync(place.primary, path.join(place.directory, 'primary.img'))
    // Two calls when it is opened, four for each record of the log: when the second one is begun, whatever it says.
    const killed = await run({ ...task, seed: 6, dieAt: 2 + 4 + 1 })
    expect(killed).toEqual({ report: undefined, signal: 'SIGKILL' })
    const { report } = await run({ ...task, seed: 6, dieAt: 0 })
    expect(report).toMatchObject({ same: true, synchronisation: { reason: 'resumed' } })
    expect(report?.synchronisation.totalBytes).toBeLessThan(size)
    expect(report?.synchronisation.totalBytes).toBeGreaterThan(0)
  })

  test('is stopped when it is closed, and goes on at the next opening; whoever waits is told', async () => {
    const place = makePlace()
    const group = await openGroupAt(place)
    const file = await group.openPrimaryFile('a', place.primary)
    const waiting = file.synchronised()
    await Promise.all([file.close(), expect(waiting).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })])
    const again = await group.openPrimaryFile('a', place.primary)
    expect(again.synchronisation.reason).toBe('resumed')
    const reason = new Error('not now')
    await expect(again.synchronised({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await again.synchronised()
    await group.close()
    expect(areSame(place)).toBe(true)
  })
})

/** Opens, brings up to date, does something, closes. Returns why it was not up to date. */
async function session(place: Place): Promise<string> {
  const group = await openGroupAt(place)
  const file = await group.openPrimaryFile('a', place.primary)
  await file.synchronised()
  const { reason, bytesRead } = file.synchronisation
  expect(bytesRead === 0).toBe(reason === 'none')
  expect(areSame(place), reason).toBe(true)
  await group.close()
  expect(areSame(place)).toBe(true)
  return reason
}

test('a log is believed only for its file and its secondary, as they were: else everything is compared', {
  timeout: 60_000
}, async () => {
  const place = makePlace()
  const { primary, secondary } = place
  const log = `${primary}.tidemark`
  const kept = `${secondary}.kept`
  const other = `${secondary}.other`
  await (await openGroupAt(place)).close()
  fs.cpSync(secondary, kept, { recursive: true })
  expect(await session(place)).toBe('first')
  fs.renameSync(secondary, other)
  fs.cpSync(kept, secondary, { recursive: true })
  expect(await session(place)).toBe('secondary-went-back')

  const fd = fs.openSync(primary, 'r+')
  fs.writeSync(fd, 'by others', SIZE - 100)
  fs.closeSync(fd)
  expect(await session(place)).toBe('changed')

  const { atime, mtime } = fs.statSync(primary)
  fs.copyFileSync(primary, `${primary}.copy`)
  fs.renameSync(`${primary}.copy`, primary)
  fs.utimesSync(primary, atime, mtime)
  expect(await session(place)).toBe('other-file')

  fs.rmSync(secondary, { recursive: true })
  expect(await session(place)).toBe('other-secondary')

  const bytes = fs.readFileSync(log)
  const damaged = Buffer.from(bytes)
  for (let slot = 0; slot < 4; slot++) damaged[slot * 4096 + 400] = 0xff
  fs.writeFileSync(log, damaged)
  expect(await session(place)).toBe('damaged')

  fs.rmSync(log)
  expect(await session(place)).toBe('first')
  expect(await session(place)).toBe('none')

  const later = fs.readFileSync(log)
  for (let slot = 0; slot < later.length; slot += 4096) {
    later.write('2', slot + 7)
    later.writeUInt32LE(crc32(later.subarray(slot + 4, slot + SLOT_BYTES)), slot)
  }
  fs.writeFileSync(log, later)
  await expect(session(place)).rejects.toMatchObject({ code: 'TIDEMARK_VERSION' })
  expect(fs.readFileSync(log).equals(later)).toBe(true)
})

test('P5: a range is compared, and what differs posted, while no write to it is under way', async () => {
  const size = 65536
  const record = { size, regionBytes: size, cursor: 0, cleanSet: 0, inode: 1, closedAtMs: null }
  const regions = new Uint8Array(1)
  const log = new ActivityLog(
    { write: async () => {}, close: async () => {} },
    { ...record, secondary: '00'.repeat(16), target: 'a', regions },
    { syncPrimary: async () => {}, applied: async () => {}, hurry: () => {}, failed: () => {} }
  )
  const locks = new RangeLocks(size)
  const compared = Promise.withResolvers<Float64Array>()
  const posted = Promise.withResolvers<Receipt>()
  const events: string[] = []
  const write = (offset: number, data: ArrayBufferView): Promise<Receipt> => {
    events.push(`posted ${data.byteLength} bytes at ${offset}`)
    return posted.promise
  }
  const before = locks.take(0, 1, 'change')
  const synchronisation = new Synchronisation({
    size,
    reason: 'first',
    isEmpty: false,
    disk: {
      read: async () => void events.push('read'),
      write: async () => {},
      zero: async () => {},
      sync: async () => {},
      close: async () => {}
    },
    locks,
    log,
    blocks: {
      differences: () => {
        events.push('compared')
        return compared.promise
      }
    },
    writer: { write } as VolumeWriter,
    group: { updateBytes: 4096, whenApplied: async () => {}, closeSet: async () => ({}) as SetReport },
    hold: { set: 1, release: () => {} }
  })
  await setImmediate()
  const after = locks.take(500, 1, 'change')
  after.granted?.then(() => events.push('written'))
  expect(events).toEqual([])
  before.release()
  await setImmediate()
  expect(events).toEqual(['compared'])
  compared.resolve(Float64Array.of(100, 5000, 0))
  await setImmediate()
  expect(events).toEqual(['compared', 'read', 'posted 4096 bytes at 100', 'read', 'posted 904 bytes at 4196'])
  posted.resolve({ volume: 'a', set: 3, sequence: 1, holders: [0, 1] })
  await synchronisation.ended
  expect(events.at(-1)).toBe('written')
  expect(synchronisation.report).toMatchObject({ state: 'done', bytesSent: 5000, set: 3, mixedSets: 2 })
})

describe('one set', () => {
  /** Two volumes whose last writes were acknowledged and never secured. */
  async function afterCrash(
    bytes: number
  ): Promise<{ place: Place; other: string; volumes: { name: string; size: number }[] }> {
    const place = makePlace()
    const other = path.join(place.directory, 'b.img')
    fs.writeFileSync(other, contentOf(SIZE, 7))
    const volumes = [
      { name: 'a', size: SIZE },
      { name: 'b', size: SIZE }
    ]
    const group = await openGroupAt(place, { volumes, formationPeriodMs: 60_000 })
    const files = await Promise.all([group.openPrimaryFile('a', place.primary), group.openPrimaryFile('b', other)])
    await Promise.all(files.map((file) => file.synchronised()))
    for (const file of files) await file.write(1000, contentOf(bytes, 5))
    await group.close({ drain: false })
    expect(areSame(place)).toBe(false)
    return { place, other, volumes }
  }

  test('has all that differed in files that are opened together, though periods are short', async () => {
    const { place, other, volumes } = await afterCrash(900_000)
    const group = await openGroupAt(place, { volumes, formationPeriodMs: 1 })
    const withUpdates: number[] = []
    group.on('set', ({ state, set, updates }) => {
      if (state === 'applied' && updates > 0) withUpdates.push(set)
    })
    const files = await Promise.all([group.openPrimaryFile('a', place.primary), group.openPrimaryFile('b', other)])
    await Promise.all(files.map((file) => file.synchronised()))
    for (const file of files) expect(file.synchronisation).toMatchObject({ reason: 'crash', mixedSets: 0 })
    expect(withUpdates).toEqual([files[0]?.synchronisation.set])
    expect(areSame(place)).toBe(true)
    expect(fs.readFileSync(other).equals(fs.readFileSync(imagePathOf(place, 'b')))).toBe(true)
  })

  test('is not kept where memory is too little for it, and that is told', async () => {
    const { place, volumes } = await afterCrash(1_900_000)
    const group = await openGroupAt(place, { volumes, componentMemoryBytes: MIB })
    const file = await group.openPrimaryFile('a', place.primary)
    await file.synchronised()
    expect(file.synchronisation.reason).toBe('crash')
    expect(file.synchronisation.mixedSets).toBeGreaterThan(0)
    expect(areSame(place)).toBe(true)
  })

  test('ends only when all is in it, also if the group is closed meanwhile', async () => {
    const { place, volumes } = await afterCrash(900_000)
    const group = await openGroupAt(place, { volumes })
    const file = await group.openPrimaryFile('a', place.primary)
    expect(file.synchronisation.state).toBe('running')
    await group.close()
    expect(file.synchronisation).toMatchObject({ state: 'done', mixedSets: 0 })
    expect(areSame(place)).toBe(true)
  })
})

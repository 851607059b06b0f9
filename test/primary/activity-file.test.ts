import fs from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ActivityFile, newest, pairOf } from '../../src/primary/activity-file.ts'
import {
  type ActivityRecord,
  encode,
  MOST_REGIONS,
  regionBytesFor,
  SLOT_BYTES
} from '../../src/primary/activity-record.ts'
import { temporaryDirectory } from '../api/support.ts'

const SIZE = 5 * 65536 + 100

function record(n: number, changes: Partial<ActivityRecord> = {}): ActivityRecord {
  return {
    size: SIZE,
    regionBytes: 65536,
    cursor: SIZE,
    cleanSet: n,
    inode: 77,
    closedAtMs: null,
    secondary: 'ab'.repeat(16),
    target: 'accounts',
    regions: Uint8Array.of(1, 0, n & 1, 0, 0, 1),
    ...changes
  }
}

async function logWith(...records: ActivityRecord[]): Promise<string> {
  const file = path.join(temporaryDirectory(), 'a.img.tidemark')
  const [first, ...others] = records
  const log = await ActivityFile.create(file, first as ActivityRecord)
  for (const other of others) await log.write(other)
  await log.close()
  return file
}

async function read(file: string): Promise<ActivityRecord | null | undefined> {
  const there = await ActivityFile.open(file)
  await there?.close()
  return there === null ? undefined : (there.found?.record ?? null)
}

test('what was written last is found, and written on from', async () => {
  const file = await logWith(record(1), record(2), record(3, { closedAtMs: 12.5, target: 'ü'.repeat(20) }))
  expect(await read(file)).toEqual(record(3, { closedAtMs: 12.5, target: 'ü'.repeat(20) }))
  const there = await ActivityFile.open(file)
  const log = there?.go()
  await log?.write(record(4))
  await log?.close()
  expect(await read(file)).toEqual(record(4))
  expect(await read(`${file}.other`)).toBeUndefined()
})

test('every byte flipped in turn: the last record all the same', async () => {
  for (const records of [[record(1)], [record(1), record(2)], [record(1), record(2), record(3)]]) {
    const file = await logWith(...records)
    const image = fs.readFileSync(file)
    const last = records.at(-1)
    for (let at = 0; at < image.length; at++) {
      // Nothing is read between the slots.
      if (at % 4096 > SLOT_BYTES) continue
      image.writeUInt8(image.readUInt8(at) ^ 0x10, at)
      expect(newest(image, file)?.record, `byte ${at}`).toEqual(last)
      image.writeUInt8(image.readUInt8(at) ^ 0x10, at)
    }
  }
})

test('a write that is torn anywhere: this record or the one before', async () => {
  const file = await logWith(record(1), record(2))
  const before = fs.readFileSync(file)
  // Over pair 0, where record 1 was.
  const pair = pairOf(record(3), 3)
  for (let cut = 0; cut <= pair.length; cut += cut < SLOT_BYTES + 8 || cut > 4090 ? 1 : 97) {
    const torn = Buffer.from(before)
    pair.copy(torn, 0, 0, cut)
    expect([record(2), record(3)]).toContainEqual(newest(torn, file)?.record)
    // The later part was written first.
    const other = Buffer.from(before)
    pair.copy(other, cut, cut)
    expect([record(2), record(3)]).toContainEqual(newest(other, file)?.record)
  }
})

test('both copies of all records are damaged: nothing is believed', async () => {
  const file = await logWith(record(1), record(2))
  const image = fs.readFileSync(file)
  for (const slot of [0, 1, 2, 3]) image.writeUInt8(image.readUInt8(slot * 4096 + 300) ^ 1, slot * 4096 + 300)
  fs.writeFileSync(file, image)
  expect(await read(file)).toBeNull()
})

test('another version is refused', async () => {
  const file = await logWith(record(1))
  const image = fs.readFileSync(file)
  for (const slot of [0, 4096]) {
    image.write('2', slot + 7)
    image.writeUInt32LE(crc32(image.subarray(slot + 4, slot + SLOT_BYTES)), slot)
  }
  fs.writeFileSync(file, image)
  await expect(read(file)).rejects.toMatchObject({ code: 'TIDEMARK_VERSION', details: { path: file, version: '2' } })
})

describe('regions', () => {
  test.each([
    [0, 65536],
    [1, 65536],
    [MOST_REGIONS * 65536, 65536],
    [MOST_REGIONS * 65536 + 1, 131072],
    [4 * 2 ** 30, 2 ** 20],
    [2 ** 50, 2 ** 38]
  ])('a volume of %i bytes has regions of %i', (size, bytes) => {
    expect(regionBytesFor(size)).toBe(bytes)
  })

  test('the longest name and all regions fit into a slot', () => {
    const regions = new Uint8Array(MOST_REGIONS).fill(1)
    const size = MOST_REGIONS * 65536
    const full = record(1, { size, cursor: size, target: 'x'.repeat(128), regions })
    const image = Buffer.alloc(4 * 4096)
    image.set(encode(full, 1))
    expect(newest(image, 'log')?.record).toEqual(full)
  })
})

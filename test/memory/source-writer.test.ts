/** The source's ring of variable records, against a model; small rings, so that every limit is met often. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  FLAG_RECEIPT,
  FLAG_SAMPLED,
  FLAG_ZERO,
  HEADER_BYTES,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME,
  recordBytesFor,
  ZERO_RECORD_BYTES
} from '../../src/memory/record.ts'
import { type SourceLayout, SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { SourceWriter } from '../../src/memory/source-writer.ts'

function memoryOf(layout: SourceLayout, firstOrdinal = 0): SourceMemory {
  const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
  memory.publish(firstOrdinal)
  memory.release(firstOrdinal)
  return memory
}

interface Put {
  ordinal: number
  volume: number
  offset: number
  /** Undefined for zeros. */
  data: Uint8Array | undefined
  length: number
}

/** Reads a record as a component does, and compares it with what was put. */
function expectRecord(memory: SourceMemory, put: Put): void {
  const at = memory.entries[put.ordinal & memory.mask] as number
  const [i, f] = [at >>> 2, at >>> 3]
  expect(memory.ints[i + RECORD_VOLUME]).toBe(put.volume)
  expect(memory.floats[f + RECORD_OFFSET]).toBe(put.offset)
  expect(memory.floats[f + RECORD_POSITION]).toBe(put.ordinal >>> 0)
  const isZero = put.data === undefined
  expect((memory.ints[i + RECORD_FLAGS] as number) & FLAG_ZERO).toBe(isZero ? FLAG_ZERO : 0)
  expect(memory.ints[i + RECORD_BYTES]).toBe(isZero ? ZERO_RECORD_BYTES : recordBytesFor(put.length))
  if (put.data === undefined) {
    expect(memory.floats[f + RECORD_PAYLOAD]).toBe(put.length)
    return
  }
  expect(memory.ints[i + RECORD_LENGTH]).toBe(put.length)
  expect(Buffer.compare(memory.bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + put.length), put.data)).toBe(0)
}

type Command =
  | { do: 'put'; length: number; volume: number }
  | { do: 'zero'; length: number }
  | { do: 'publish' | 'mark' | 'rollback' | 'refresh' | 'replace' }
  | { do: 'release'; count: number }

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      length: fc.integer({ min: 0, max: 220 }),
      volume: fc.nat(9)
    })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('zero' as const), length: fc.integer({ min: 1, max: 1e9 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('release' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'publish' as const,
        'publish' as const,
        'mark' as const,
        'rollback' as const,
        'refresh' as const
      )
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('replace' as const) }) }
)

function runAgainstModel(commands: readonly Command[], firstOrdinal: number): void {
  const memory = memoryOf({ bodyBytes: 1024, capacity: 16 }, firstOrdinal)
  let writer = new SourceWriter(memory)
  let fills = 0
  /** From the acknowledged position on: what a reader may look at, and what only the writer has put. */
  let published: Put[] = []
  let unpublished: Put[] = []
  let marked: Put[] | undefined
  const put = (length: number, volume: number, isZero: boolean): void => {
    const data = isZero ? undefined : new Uint8Array(length).fill(++fills)
    const ordinal = writer.next
    const offset = fills * 4096
    const done =
      data === undefined
        ? writer.putZero(volume, offset, length, 0, 0)
        : writer.put(volume, offset, data, 0, length, 0, 0)
    if (done) unpublished.push({ ordinal, volume, offset, data, length })
    // An empty ring has room for whatever is not larger than the ring.
    else expect(published.length + unpublished.length).toBeGreaterThan(0)
  }
  for (const step of commands) {
    switch (step.do) {
      case 'put':
        put(step.length, step.volume, false)
        break
      case 'zero':
        put(step.length, 0, true)
        break
      case 'publish':
        writer.publish()
        published.push(...unpublished)
        unpublished = []
        marked = undefined
        break
      case 'mark':
        writer.mark()
        marked = [...unpublished]
        break
      case 'rollback':
        if (marked === undefined) break
        writer.rollback()
        unpublished = [...marked]
        break
      case 'refresh':
        expect(writer.refresh()).toBe(memory.loadReleased())
        break
      case 'release': {
        const count = Math.min(step.count, published.length)
        for (const record of published.slice(0, count)) expectRecord(memory, record)
        published = published.slice(count)
        memory.release((memory.loadReleased() + count) | 0)
        // Only so much is used again as the writer has looked for.
        if (unpublished.length === 0) writer.refresh()
        break
      }
      case 'replace':
        // The writer's thread ended here. What was not published never existed; another one goes on.
        writer = new SourceWriter(memory)
        unpublished = []
        marked = undefined
        expect(writer.next).toBe(memory.loadPublished())
        break
    }
    expect(memory.loadPublished()).toBe((memory.loadReleased() + published.length) | 0)
    for (const record of published) expectRecord(memory, record)
    for (const record of unpublished) expectRecord(memory, record)
  }
}

describe('a ring of 1 KiB and 16 entries, like a model', () => {
  test('records of any size, zeros, rollbacks, a new writer: what is not acknowledged stays as it was put', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => runAgainstModel(commands, 0)),
      { numRuns: 300 }
    )
  })

  test('where the cursors change their sign', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 30, maxLength: 150 }), (commands) =>
        runAgainstModel(commands, 2 ** 31 - 10)
      ),
      { numRuns: 100 }
    )
  })
})

describe('SourceWriter', () => {
  test('nothing that was put is visible before publish, all of it at once then', () => {
    const memory = memoryOf(sourceLayout(1024))
    const writer = new SourceWriter(memory)
    for (let n = 0; n < 3; n++) writer.put(0, n, new Uint8Array(4), 0, 4, 0, 0)
    expect(memory.loadPublished()).toBe(0)
    writer.publish()
    expect(memory.loadPublished()).toBe(3)
  })

  test('a full ring takes nothing until some of it is acknowledged and looked for; then as much as was', () => {
    const memory = memoryOf({ bodyBytes: 1024, capacity: 64 })
    const writer = new SourceWriter(memory)
    // Records of 128 bytes.
    const length = 128 - HEADER_BYTES
    const put = (bytes: number): boolean => writer.put(0, 0, new Uint8Array(bytes), 0, bytes, 0, 0)
    let count = 0
    while (put(length)) count++
    writer.publish()
    expect(count).toBe(8)
    memory.release(1)
    expect(put(length)).toBe(false)
    expect(writer.refresh()).toBe(1)
    // Head must not meet tail: 128 bytes are free, and fewer of them are given.
    expect(put(length)).toBe(false)
    expect(put(length - 8)).toBe(true)
  })

  test('as many entries as there are, however small the records', () => {
    const memory = memoryOf({ bodyBytes: 65536, capacity: 16 })
    const writer = new SourceWriter(memory)
    for (let n = 0; n < 16; n++) expect(writer.putZero(0, 0, 1, 0, 0)).toBe(true)
    expect(writer.putZero(0, 0, 1, 0, 0)).toBe(false)
  })

  test('a record as large as the ring goes into an empty one, wherever the last one ended', () => {
    const memory = memoryOf({ bodyBytes: 1024, capacity: 16 })
    const writer = new SourceWriter(memory)
    writer.put(0, 0, new Uint8Array(300), 0, 300, 0, 0)
    writer.publish()
    memory.release(1)
    writer.refresh()
    expect(writer.put(0, 0, new Uint8Array(1024 - HEADER_BYTES), 0, 1024 - HEADER_BYTES, 0, 0)).toBe(true)
    expect(writer.put(0, 0, new Uint8Array(0), 0, 0, 0, 0)).toBe(false)
  })

  test('a part of a larger buffer', () => {
    const memory = memoryOf(sourceLayout(1024))
    const writer = new SourceWriter(memory)
    const data = Uint8Array.from({ length: 20 }, (_, n) => n)
    writer.put(1, 2, data, 5, 7, 0, 0)
    expectRecord(memory, { ordinal: 0, volume: 1, offset: 2, data: data.subarray(5, 12), length: 7 })
  })

  test('a rollback gives the room back, of records and of putRoom', () => {
    const memory = memoryOf({ bodyBytes: 1024, capacity: 16 })
    const writer = new SourceWriter(memory)
    writer.put(0, 0, new Uint8Array(8), 0, 8, 0, 0)
    for (let n = 0; n < 50; n++) {
      writer.mark()
      expect(writer.putRoom(300)).toBe(true)
      expect(writer.putRoom(300)).toBe(true)
      expect(writer.putRoom(300)).toBe(false)
      writer.rollback()
    }
    writer.put(3, 4, new Uint8Array(8).fill(9), 0, 8, 0, 0)
    writer.publish()
    expect(memory.loadPublished()).toBe(2)
    expectRecord(memory, { ordinal: 1, volume: 3, offset: 4, data: new Uint8Array(8).fill(9), length: 8 })
  })

  test('a place used again carries no receipt of the update before, and its stamp where it is sampled', () => {
    const memory = memoryOf({ bodyBytes: 1024, capacity: 16 })
    const writer = new SourceWriter(memory)
    const at = (): number => memory.entries[(writer.next - 1) & memory.mask] as number
    writer.put(0, 0, new Uint8Array(8), 0, 8, FLAG_RECEIPT, 0)
    memory.floats[(at() >>> 3) + RECORD_SEQUENCE] = 77
    writer.publish()
    memory.release(1)
    writer.refresh()
    writer.put(0, 0, new Uint8Array(8), 0, 8, FLAG_RECEIPT | FLAG_SAMPLED, 1234)
    expect(memory.floats[(at() >>> 3) + RECORD_SEQUENCE]).toBe(0)
    expect(memory.ints[(at() >>> 2) + RECORD_SET]).toBe(1234)
  })

  test('a new writer goes on behind what is published, in the ring and in the names', () => {
    const memory = memoryOf({ bodyBytes: 1024, capacity: 16 })
    const first = new SourceWriter(memory)
    // Around the end once, so that the oldest record lies behind the newest.
    for (let n = 0; n < 4; n++) first.put(0, n, new Uint8Array(200).fill(n), 0, 200, 0, 0)
    first.publish()
    memory.release(2)
    first.refresh()
    first.put(0, 4, new Uint8Array(200).fill(4), 0, 200, 0, 0)
    first.publish()
    // Never published.
    first.put(0, 99, new Uint8Array(100).fill(99), 0, 100, 0, 0)

    const second = new SourceWriter(memory)
    let count = 0
    while (second.put(0, 5, new Uint8Array(64).fill(5), 0, 64, 0, 0)) count++
    second.publish()
    expect(count).toBeGreaterThan(0)
    for (let n = 2; n < 5 + count; n++) {
      const fill = Math.min(n, 5)
      const length = n < 5 ? 200 : 64
      expectRecord(memory, { ordinal: n, volume: 0, offset: fill, data: new Uint8Array(length).fill(fill), length })
    }
  })
})

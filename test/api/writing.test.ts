import { rmSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Receipt, TidemarkError } from '../../src/index.ts'
import { imageOf, openTestGroup, seeded, temporaryDirectory } from './support.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (error instanceof TidemarkError) return error.code
    throw error
  }
  return 'nothing was thrown'
}

describe('writing', () => {
  test('a write is acknowledged by mirrors+1 components with set and sequence', async () => {
    const group = await openTestGroup({ components: 4, mirrors: 2 })
    const source = group.openSource('one')
    const first = await source.volume('a').write(0, bytes('x'))
    const second = await source.volume('a').write(1, bytes('y'))
    expect(new Set(first.holders).size).toBe(3)
    expect(first.volume).toBe('a')
    expect(second.set).toBeGreaterThanOrEqual(first.set)
    if (second.set === first.set) expect(second.sequence).toBeGreaterThan(first.sequence)
  })

  test('calls on one source take effect in call order, awaited or not, zeros and transactions too', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory } })
    // A ring that holds few updates, so that most calls have to wait for room.
    const source = group.openSource('one', { ringBytes: 4096 })
    const random = seeded(7)
    const model = Buffer.alloc(1000)
    const calls: Promise<unknown>[] = []
    for (let n = 0; n < 3000; n++) {
      const length = 1 + random(40)
      const offset = random(1000 - length)
      const data = Buffer.alloc(length, n)
      switch (random(4)) {
        case 0:
          calls.push(source.volume('b').zero(offset, length))
          model.fill(0, offset, offset + length)
          break
        case 1: {
          const other = random(1000 - length)
          calls.push(
            source.transaction([
              { volume: 'b', offset, data },
              { volume: 'b', offset: other, data }
            ])
          )
          data.copy(model, offset)
          data.copy(model, other)
          break
        }
        default:
          calls.push(source.volume('b').write(offset, data))
          data.copy(model, offset)
      }
      // The caller may use its memory again at once.
      data.fill(0xff)
      if (n % 500 === 0) await Promise.all(calls)
    }
    await Promise.all(calls)
    await group.closeSet()
    await group.whenApplied()
    expect(imageOf(directory, 'b').equals(model)).toBe(true)
  })

  test('tryPost refuses while earlier calls wait, ready tells when there is room', async () => {
    const group = await openTestGroup()
    const source = group.openSource('one', { ringBytes: 4096 })
    const writer = source.volume('a')
    const data = Buffer.alloc(500)
    const calls: Promise<Receipt>[] = []
    for (let n = 0; n < 20; n++) calls.push(writer.write(0, data))
    expect(writer.tryPost(0, data)).toBe(false)
    await writer.ready(500)
    expect(writer.tryPost(0, data)).toBe(true)
    await Promise.all(calls)
    await source.flush()
  })

  test('postSync and flushSync wait in this thread', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory } })
    const source = group.openSource('one', { ringBytes: 4096 })
    const model = Buffer.alloc(1000)
    for (let n = 0; n < 5000; n++) {
      const data = Buffer.alloc(8, n)
      source.volume('b').postSync((n * 8) % 1000, data)
      data.copy(model, (n * 8) % 1000)
    }
    source.flushSync()
    await group.whenApplied()
    expect(imageOf(directory, 'b').equals(model)).toBe(true)
  })

  test('an update larger than one record is split, applied whole, and gives one receipt', async () => {
    const directory = temporaryDirectory()
    const size = 3_000_001
    const group = await openTestGroup({
      volumes: [{ name: 'large', size }],
      componentMemoryBytes: 64 * 2 ** 20,
      secondary: { directory }
    })
    const data = Buffer.alloc(size, 'tidemark')
    const source = group.openSource('one')
    const writer = source.volume('large')
    const receipt = await writer.write(0, data)
    expect(receipt.volume).toBe('large')
    expect(receipt.holders).toHaveLength(2)
    await group.whenApplied()
    expect(imageOf(directory, 'large').equals(data)).toBe(true)
    data.fill(1)
    while (!writer.tryPost(0, data)) await writer.ready(size)
    await source.flush()
    await group.whenApplied()
    expect(imageOf(directory, 'large').equals(data)).toBe(true)
  })

  test('an update of no bytes is an update: it has its place in the order', async () => {
    const group = await openTestGroup()
    const source = group.openSource('one')
    const before = await source.volume('a').write(0, bytes('x'))
    const empty = await source.volume('a').write(0, new Uint8Array(0))
    expect(empty.holders).toHaveLength(2)
    expect(empty.set > before.set || empty.sequence > before.sequence).toBe(true)
    await source.volume('c').write(0, new Uint8Array(0))
    await source.volume('a').zero(10, 0)
    expect(await source.transaction([])).toEqual([])
  })

  test('any view is taken for its bytes', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory } })
    const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(9)
    const source = group.openSource('one')
    await source.volume('b').write(0, new Float64Array([1.5]))
    await source.volume('b').write(8, new DataView(Uint8Array.from([0, 1, 2, 3, 4]).buffer, 1, 3))
    await source.volume('b').write(11, shared)
    await group.whenApplied()
    const expected = Buffer.concat([Buffer.from(new Float64Array([1.5]).buffer), Buffer.from([1, 2, 3, 9, 9, 9, 9])])
    expect(imageOf(directory, 'b').subarray(0, 15).equals(expected)).toBe(true)
  })

  test('bad input has its code, and disturbs nothing', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory } })
    const source = group.openSource('one', { ringBytes: 65536 })
    const a = source.volume('a')
    await a.write(0, bytes('before'))
    const x = bytes('x')
    expect(await codeOf(() => source.volume('nobody'))).toBe('TIDEMARK_UNKNOWN_VOLUME')
    expect(await codeOf(() => source.transaction([{ volume: 'nobody', offset: 0, data: x }]))).toBe(
      'TIDEMARK_UNKNOWN_VOLUME'
    )
    for (const offset of [-1, 0.5, 65536, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, '0' as unknown as number]) {
      expect(await codeOf(() => a.write(offset, x))).toBe('TIDEMARK_OUT_OF_RANGE')
      expect(await codeOf(() => a.tryPost(offset, x))).toBe('TIDEMARK_OUT_OF_RANGE')
      expect(await codeOf(() => a.postSync(offset, x))).toBe('TIDEMARK_OUT_OF_RANGE')
      expect(await codeOf(() => a.zero(offset, 1))).toBe('TIDEMARK_OUT_OF_RANGE')
      expect(await codeOf(() => source.transaction([{ volume: 'a', offset, data: x }]))).toBe('TIDEMARK_OUT_OF_RANGE')
    }
    for (const length of [-1, 0.5, 65537, Number.NaN]) {
      expect(await codeOf(() => a.zero(0, length))).toBe('TIDEMARK_OUT_OF_RANGE')
    }
    expect(await codeOf(() => source.volume('b').write(995, Buffer.alloc(6)))).toBe('TIDEMARK_OUT_OF_RANGE')
    expect(await codeOf(() => source.volume('c').write(0, x))).toBe('TIDEMARK_OUT_OF_RANGE')
    expect(await codeOf(() => a.write(0, 'text' as unknown as Uint8Array))).toBe('TIDEMARK_OPTIONS')
    // Together with their headers these do not fit into the ring at once.
    expect(await codeOf(() => a.write(0, Buffer.alloc(65536)))).toBe('TIDEMARK_TOO_LARGE')
    expect(await codeOf(() => a.tryPost(0, Buffer.alloc(65536)))).toBe('TIDEMARK_TOO_LARGE')
    const parts = Array.from({ length: 2000 }, () => ({ volume: 'a', offset: 0, data: x }))
    expect(await codeOf(() => source.transaction(parts))).toBe('TIDEMARK_TOO_LARGE')
    await a.write(6, bytes(' after'))
    await group.whenApplied()
    const image = imageOf(directory, 'a')
    expect(image.subarray(0, 12).toString()).toBe('before after')
    expect(image.subarray(12).every((byte) => byte === 0)).toBe(true)
  })

  test('after close everything says so', async () => {
    const group = await openTestGroup()
    const source = group.openSource('one')
    const writer = source.volume('a')
    await writer.write(0, bytes('x'))
    const other = group.openSource('two')
    await other.close()
    expect(await codeOf(() => other.volume('a').write(0, bytes('x')))).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => other.flush())).toBe('TIDEMARK_CLOSED')
    // Its name is free again.
    await group.openSource('two').close()
    await group.close()
    expect(await codeOf(() => writer.write(0, bytes('x')))).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => writer.tryPost(0, bytes('x')))).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => writer.postSync(0, bytes('x')))).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => writer.ready())).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => group.openSource('three'))).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => group.closeSet())).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => group.whenApplied(10_000))).toBe('TIDEMARK_CLOSED')
    expect(await codeOf(() => group.holdApplied())).toBe('TIDEMARK_CLOSED')
    await source.close()
    await group.close()
    expect(group.status().state).toBe('closed')
  })

  test('close drains what was posted, and calls that cannot be served any more are rejected', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: 3600_000 })
    const source = group.openSource('one', { ringBytes: 4096 })
    const calls = Array.from({ length: 200 }, (_, n) => source.volume('b').write(n, Buffer.of(n)))
    const outcomes = Promise.allSettled(calls)
    await group.close()
    const settled = await outcomes
    const accepted = settled.filter((outcome) => outcome.status === 'fulfilled').length
    expect(accepted).toBeGreaterThan(0)
    const image = imageOf(directory, 'b')
    settled.forEach((outcome, n) => {
      if (outcome.status === 'fulfilled') expect(image[n]).toBe(n)
      else expect((outcome.reason as TidemarkError).code).toBe('TIDEMARK_CLOSED')
    })
  })

  test('close can be told not to wait, and lets go of the directory all the same', async () => {
    const directory = temporaryDirectory()
    const options = { secondary: { directory }, formationPeriodMs: 3600_000 }
    for (const close of [{ drain: false }, { signal: AbortSignal.abort() }]) {
      const group = await openTestGroup(options)
      await group.openSource('one').volume('b').write(0, bytes('x'))
      await group.close(close)
    }
    const group = await openTestGroup(options)
    await group.close()
    expect(imageOf(directory, 'b')[0]).toBe(0)
  })

  test('a secondary that can no longer write suspends the group; sources are told, close still works', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory }, formationPeriodMs: 10 })
    const source = group.openSource('one')
    const suspended = new Promise<TidemarkError>((resolve) => group.once('suspended', resolve))
    rmSync(path.join(directory, 'tidemark'), { recursive: true })
    const accepted = await source.volume('b').write(0, bytes('x'))
    const error = await suspended
    expect(error.message).toContain(directory)
    expect(await codeOf(() => source.volume('b').write(0, bytes('x')))).toBe('TIDEMARK_SUSPENDED')
    expect(await codeOf(() => source.volume('b').tryPost(0, bytes('x')))).toBe('TIDEMARK_SUSPENDED')
    expect(await codeOf(() => group.openSource('two'))).toBe('TIDEMARK_SUSPENDED')
    expect(await codeOf(() => group.whenApplied(accepted.set))).toBe('TIDEMARK_SUSPENDED')
    expect(group.status()).toMatchObject({ state: 'suspended', suspension: { code: error.code } })
    await group.close()
  })
})

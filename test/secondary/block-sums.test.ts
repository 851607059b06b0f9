import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openExistingDirectory } from '../../src/secondary/directory.ts'
import { MortalFiles } from './mortal-files.ts'
import { wrongSums } from './sums.ts'
import { bytesOf, errorOf, flipByte, Rig, temporaryDirectory } from './support.ts'

const VOLUMES = [
  { name: 'odd', size: 12_345 },
  { name: 'empty', size: 0 },
  { name: 'big', size: 300_001 },
  { name: 'one', size: 1 },
  { name: 'exact', size: 65_536 }
]

afterEach(() => {
  vi.restoreAllMocks()
})

const update = fc.record({
  volume: fc.constantFrom(0, 2, 3, 4),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(4096, 8192), fc.integer({ min: 0, max: 70_000 })),
  aligned: fc.boolean(),
  fill: fc.constantFrom(0, 1, 2, 255),
  zero: fc.boolean()
})

function applied(rig: Rig, set: number, fill: () => void): void {
  rig.begin(set)
  fill()
  rig.sync()
  rig.commit(set)
  rig.apply(set)
}

describe('after each applied set the table has the sum of every block', () => {
  test('whatever the sets hold: data, zeros, blocks in part, by one component or several', () => {
    let updated = 0
    // What is on the disk is not the question here, and syncing would take most of the time.
    for (const sync of ['fsyncSync', 'fdatasyncSync'] as const) vi.spyOn(fs, sync).mockImplementation(() => {})
    fc.assert(
      fc.property(
        // Of every length alike: by itself it draws few, and now and then fewer in all than are wanted below.
        fc.array(fc.array(update, { maxLength: 25, size: 'max' }), { minLength: 1, maxLength: 4, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (sets, components) => {
          const rig = new Rig({ directory: temporaryDirectory(), volumes: VOLUMES, components })
          for (const [n, updates] of sets.entries()) {
            applied(rig, n + 1, () => {
              for (const [sequence, { volume, at, length, aligned, fill, zero }] of updates.entries()) {
                const { size } = VOLUMES[volume] as (typeof VOLUMES)[number]
                let offset = Math.min(size - 1, Math.floor(at * size))
                if (aligned) offset -= offset % 4096
                const fitting = Math.min(length, size - offset)
                if (zero) rig.zero(n + 1, volume, sequence, offset, fitting)
                else rig.write(n + 1, volume, sequence, offset, bytesOf(fitting, fill))
              }
            })
            expect(wrongSums(rig.directory.layout.directory)).toEqual([])
            updated += updates.length
          }
          rig.close()
        }
      ),
      { numRuns: 30 }
    )
    expect(updated).toBeGreaterThan(400)
  })

  test('a large range of zeros costs neither time nor disk', () => {
    const size = 2 ** 43
    const rig = new Rig({ directory: temporaryDirectory(), volumes: [{ name: 'huge', size }], components: 1 })
    const at = size - 10_000
    applied(rig, 1, () => rig.write(1, 0, 1, at, bytesOf(5000, 7)))
    const table = path.join(rig.directory.layout.directory, 'tidemark/checksums')
    expect(fs.statSync(table).size).toBe(2 ** 33)
    const used = () => fs.statSync(table).blocks * 512
    expect(used()).toBeLessThan(1 << 20)
    // Zeros that are read back take their time, 64 MiB of them do not; they leave the hole in the table as it is.
    applied(rig, 2, () => rig.zero(2, 0, 1, at - (64 << 20), 64 << 20))
    expect(used()).toBeLessThan(1 << 20)
    const sums = fs.openSync(table, 'r')
    const last = Buffer.alloc(16)
    fs.readSync(sums, last, 0, 16, 2 ** 33 - 16)
    fs.closeSync(sums)
    expect(last.readUInt32LE(12)).toBe(0)
    expect(last.readUInt32LE(4)).not.toBe(0)
    rig.close()
  })

  test('also when writes to the table fail, and the slice is tried again', () => {
    const rig = new Rig({ directory: temporaryDirectory(), volumes: VOLUMES, components: 1 })
    applied(rig, 1, () => rig.write(1, 2, 1, 0, bytesOf(60_000, 1)))
    const image = rig.directory.volumes[2]?.path ?? ''
    // Damage that must stay known over the retries.
    flipByte(image, 50_000)
    rig.begin(2)
    for (const [sequence, { size }] of VOLUMES.entries()) {
      if (size > 0) rig.write(2, sequence, 1, 0, bytesOf(Math.min(size, 49_500), 9))
    }
    rig.sync()
    rig.commit(2)
    rig.first.announce(2)
    rig.first.beginApply(2)
    const { writeSync } = fs
    let refused = 0
    let failing = true
    const calls = fs as unknown as Record<string, (...args: never[]) => unknown>
    vi.spyOn(calls, 'writeSync').mockImplementation((fd: number, ...rest: [Uint8Array, number, number, number]) => {
      const isTable = fs.readlinkSync(`/proc/self/fd/${fd}`).endsWith('/checksums')
      failing = isTable && !failing
      if (!failing) return writeSync(fd, ...rest)
      refused++
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    })
    let errors = 0
    for (let isDone = false; !isDone; ) {
      try {
        isDone = rig.first.applySome()
      } catch (error) {
        expect(error).toMatchObject({ code: 'TIDEMARK_NO_SPACE' })
        errors++
      }
    }
    vi.restoreAllMocks()
    expect(errors).toBe(refused)
    expect(refused).toBeGreaterThanOrEqual(3)
    rig.first.mark(2)
    expect(wrongSums(rig.directory.layout.directory)).toEqual([`big ${12 * 4096}`])
    rig.close()
  })
})

describe('damage', () => {
  function damaged(): Rig {
    const rig = new Rig({ directory: temporaryDirectory() })
    applied(rig, 1, () => rig.write(1, 0, 1, 0, bytesOf(10_000, 1)))
    flipByte(rig.directory.volumes[0]?.path ?? '', 5000)
    return rig
  }

  test('in a block of which a later set writes another part stays known', () => {
    const rig = damaged()
    for (const set of [2, 3]) {
      applied(rig, set, () => {
        rig.write(set, 0, 1, 4096 + 10 * set, bytesOf(10, set))
        rig.zero(set, 0, 2, 8190, 4)
      })
      expect(wrongSums(rig.directory.layout.directory)).toEqual(['a 4096'])
    }
    rig.close()
  })

  test('is repaired where a later set writes the whole block, in one piece or several', () => {
    for (const pieces of [1, 2, 8]) {
      const rig = damaged()
      const length = 4096 / pieces
      applied(rig, 2, () => {
        for (let n = 0; n < pieces; n++) {
          if (n % 3 === 2) rig.zero(2, 0, n, 4096 + n * length, length)
          else rig.write(2, 0, n, 4096 + n * length, bytesOf(length, 5))
        }
      })
      expect(wrongSums(rig.directory.layout.directory)).toEqual([])
      rig.close()
    }
  })
})

describe('what a crash left half applied', () => {
  test.each(['recovery', 'a component that begins again'])('%s makes sums of what blocks hold then', (by) => {
    const rig = new Rig({ directory: temporaryDirectory() })
    applied(rig, 1, () => rig.write(1, 0, 1, 0, bytesOf(10_000, 1)))
    rig.begin(2)
    rig.write(2, 0, 1, 4090, bytesOf(20, 2))
    rig.zero(2, 0, 2, 9000, 500)
    rig.sync()
    rig.commit(2)
    rig.first.announce(2)
    // Images and table as a torn write leaves them, in the blocks that the set touches.
    const image = fs
      .readFileSync(rig.directory.volumes[0]?.path ?? '')
      .fill(0xdd, 4090, 4105)
      .fill(0xdd, 9000, 9500)
    fs.writeFileSync(rig.directory.volumes[0]?.path ?? '', image)
    const table = rig.directory.layout.checksums
    fs.writeFileSync(table, fs.readFileSync(table).fill(0xee, 0, 12))
    const { directory } = rig.directory.layout
    if (by === 'recovery') {
      rig.kill()
      openExistingDirectory(directory).close()
    } else {
      const told = { journaled: 2, applied: 1, committed: 2, announced: 2, marked: 1 }
      for (const store of rig.stores) store.resume(told)
      rig.applyAll(2)
      rig.first.mark(2)
    }
    expect(wrongSums(directory)).toEqual([])
    expect(fs.readFileSync(path.join(directory, 'volumes/a.img')).subarray(4090, 4110)).toEqual(Buffer.alloc(20, 2))
    if (by !== 'recovery') rig.close()
  })
})

describe('recovery that is killed itself', () => {
  /** Sets 2 and 3 are secured, set 2 is half in image and table. */
  function crashed(): string {
    const rig = new Rig({ directory: temporaryDirectory() })
    applied(rig, 1, () => rig.write(1, 0, 1, 0, bytesOf(10_000, 1)))
    for (const set of [2, 3]) {
      rig.begin(set)
      rig.write(set, 0, 1, 1000 * set + 5990, bytesOf(20, set))
      rig.zero(set, 1, 1, 0, 4097)
      rig.sync()
      rig.commit(set, 2)
    }
    const image = rig.directory.volumes[0]?.path ?? ''
    fs.writeFileSync(image, fs.readFileSync(image).fill(0xdd, 7990, 8000))
    rig.kill()
    return rig.directory.layout.directory
  }

  test.each([false, true])('at any call, or within any write (%s): the next one finishes', (torn) => {
    const template = crashed()
    const work = temporaryDirectory()
    let dieAt = 1
    for (; ; dieAt++) {
      fs.cpSync(template, work, { recursive: true })
      const files = new MortalFiles(0)
      files.dieAt = dieAt
      files.torn = torn
      files.watch()
      files.run(0, () => openExistingDirectory(work, { force: true }).close())
      vi.restoreAllMocks()
      openExistingDirectory(work, { force: true }).close()
      expect(wrongSums(work), `died at ${dieAt}`).toEqual([])
      const image = fs.readFileSync(path.join(work, 'volumes/a.img'))
      expect(image.subarray(7990, 8010)).toEqual(Buffer.alloc(20, 2))
      expect(image.subarray(8990, 9010)).toEqual(Buffer.alloc(20, 3))
      if (files.deaths === 0) break
    }
    expect(dieAt).toBeGreaterThan(torn ? 10 : 30)
  })
})

describe('the file', () => {
  test('serves the same volumes in another order', () => {
    const directory = temporaryDirectory()
    const first = new Rig({ directory, volumes: VOLUMES, components: 2 })
    applied(first, 1, () => {
      for (const volume of [0, 2, 4]) first.write(1, volume, 1, 10, bytesOf(9000, volume + 1))
    })
    first.close()
    const again = new Rig({ directory, volumes: VOLUMES.toReversed(), components: 3 })
    expect(wrongSums(directory)).toEqual([])
    const set = again.directory.lastSet + 1
    applied(again, set, () => again.write(set, 2, 1, 5, bytesOf(20_000, 3)))
    expect(wrongSums(directory)).toEqual([])
    again.close()
  })

  test('is made of the images as they are where there is none', () => {
    const directory = temporaryDirectory()
    const rig = new Rig({ directory, volumes: VOLUMES })
    fs.rmSync(rig.directory.layout.checksums)
    rig.kill()
    const old = new Rig({ directory, volumes: VOLUMES })
    fs.rmSync(old.directory.layout.checksums)
    const set = old.directory.lastSet + 1
    applied(old, set, () => old.write(set, 2, 1, 100_000, bytesOf(50_000, 3)))
    // Left half way by an opening that was aborted.
    fs.writeFileSync(`${old.directory.layout.checksums}.new`, 'x')
    old.kill()
    openExistingDirectory(directory).close()
    expect(wrongSums(directory)).toEqual([])
  })

  test('of another length is damaged, and says what helps', () => {
    const directory = temporaryDirectory()
    new Rig({ directory, volumes: VOLUMES }).close()
    const table = path.join(directory, 'tidemark/checksums')
    fs.truncateSync(table, 100)
    const error = errorOf(() => new Rig({ directory, volumes: VOLUMES }))
    expect(error).toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { size: 100 } })
    expect(error.message).toContain('remove it')
    fs.rmSync(`${directory}/tidemark/lock`, { force: true })
    fs.rmSync(table)
    new Rig({ directory, volumes: VOLUMES }).close()
    expect(wrongSums(directory)).toEqual([])
  })
})

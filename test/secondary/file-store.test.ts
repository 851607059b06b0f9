import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { readCommits } from '../../src/secondary/commit-log.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { bytesOf, errorOf, Rig, seeded, temporaryDirectory } from './support.ts'

const VOLUMES = [
  { name: 'empty', size: 0 },
  { name: 'one', size: 1 },
  { name: 'odd', size: 12_345 },
  { name: 'big', size: 300_001 },
  { name: 'other', size: 65_536 }
]

/** What the volumes must hold: all updates of all sets so far, in order (I2). */
class Model {
  readonly volumes = VOLUMES.map((volume) => Buffer.alloc(volume.size))
  touched = 0

  /** One set of random overlapping updates, sent to the rig out of sequence order now and then. */
  fill(rig: Rig, set: number, random: () => number, count: number): void {
    const covered = VOLUMES.map((volume) => new Uint8Array(volume.size))
    const sequences = VOLUMES.map(() => 0)
    const later: (() => void)[] = []
    for (let n = 0; n < count; n++) {
      const volume = Math.floor(random() * VOLUMES.length)
      const size = VOLUMES[volume]?.size ?? 0
      const offset = Math.floor(random() * size)
      const wanted = random() < 0.1 ? 20_000 : random() < 0.5 ? 512 : 3000
      const length = Math.min(size - offset, Math.floor(random() * wanted))
      const sequence = (sequences[volume] as number) + 1 + Math.floor(random() * 3)
      sequences[volume] = sequence
      const zero = random() < 0.15
      const bytes = Buffer.from(Uint8Array.from({ length }, () => 1 + Math.floor(random() * 255)))
      if (zero) bytes.fill(0)
      bytes.copy(this.volumes[volume] as Buffer, offset)
      covered[volume]?.fill(1, offset, offset + length)
      const send = () => {
        if (zero) rig.zero(set, volume, sequence, offset, length)
        else rig.write(set, volume, sequence, offset, bytes)
      }
      if (random() < 0.2) later.push(send)
      else send()
      if (random() < 0.3) later.pop()?.()
    }
    for (const send of later) send()
    this.touched = covered.reduce((sum, bytes) => sum + bytes.reduce((a, b) => a + b, 0), 0)
  }

  check(rig: Rig): void {
    for (const n of VOLUMES.keys()) expect(rig.image(n).equals(this.volumes[n] as Buffer), `volume ${n}`).toBe(true)
  }
}

describe('a model of the volumes', () => {
  test.each([
    [1, 1, 8, 60],
    [2, 2, 8, 200],
    [3, 3, 5, 400],
    [4, 2, 30, 25]
  ])('seed %i: %i components, %i sets of %i overlapping updates and zeros', (seed, components, sets, count) => {
    const random = seeded(seed)
    const rig = new Rig({ directory: temporaryDirectory(), volumes: VOLUMES, components }, 200_000)
    const model = new Model()
    for (let n = 1; n <= sets; n++) {
      const set = rig.directory.lastSet + n
      rig.begin(set)
      model.fill(rig, set, random, count)
      rig.sync()
      rig.commit(set)
      rig.apply(set)
      model.check(rig)
      // Folded: each touched byte is written once.
      expect(rig.stores.reduce((sum, store) => sum + store.writtenBytes, 0)).toBe(model.touched)
    }
    rig.close()
  })

  test('the next sets are received while one is applied, and kept apart from it', () => {
    const random = seeded(7)
    const rig = new Rig({ directory: temporaryDirectory(), volumes: VOLUMES, components: 2 }, 100_000)
    const models = [new Model()]
    const last = 12
    let received = 0
    const receiveNext = () => {
      const before = models[received] as Model
      const model = new Model()
      for (const [n, bytes] of before.volumes.entries()) bytes.copy(model.volumes[n] as Buffer)
      received++
      rig.begin(received)
      model.fill(rig, received, random, 80)
      rig.sync()
      rig.commit(received)
      models.push(model)
    }
    receiveNext()
    for (let set = 1; set <= last; set++) {
      rig.first.announce(set)
      for (const store of rig.stores) store.beginApply(set)
      const busy = new Set(rig.stores)
      while (busy.size > 0) {
        for (const store of busy) if (store.applySome()) busy.delete(store)
        if (received < Math.min(last, set + 3)) receiveNext()
      }
      rig.first.mark(set)
      rig.first.release(set)
      models[set]?.check(rig)
    }
    rig.close()
  })
})

describe('what one set writes', () => {
  test('folding happens inside a set, never across sets', () => {
    const rig = new Rig({ directory: temporaryDirectory() })
    rig.begin(1)
    for (let n = 1; n <= 10; n++) rig.write(1, 0, n, 100, bytesOf(50, n))
    rig.sync()
    rig.commit(1)
    rig.begin(2)
    rig.write(2, 0, 1, 120, bytesOf(50, 99))
    rig.sync()
    rig.commit(2)
    rig.apply(1)
    expect(rig.first.writtenBytes).toBe(50)
    expect(rig.image(0).subarray(100, 150).equals(Buffer.alloc(50, 10))).toBe(true)
    expect(rig.image(0)[160]).toBe(0)
    rig.apply(2)
    expect(rig.first.writtenBytes).toBe(50)
    expect(
      rig
        .image(0)
        .subarray(100, 170)
        .equals(Buffer.concat([Buffer.alloc(20, 10), Buffer.alloc(50, 99)]))
    ).toBe(true)
    rig.close()
  })

  test('most of a set was overwritten within it: what is left lies far apart in the journal', () => {
    const [place, places, updates] = [1000, 40, 2000]
    const size = place * places
    const rig = new Rig({ directory: temporaryDirectory(), volumes: [{ name: 'v', size }], components: 1 })
    const wanted = Buffer.alloc(size)
    rig.begin(1)
    for (let n = 0; n < updates; n++) {
      const offset = ((n * 7919) % places) * place
      const bytes = bytesOf(place, n & 0xff)
      wanted.set(bytes, offset)
      rig.write(1, 0, n + 1, offset, bytes)
    }
    rig.sync()
    rig.commit(1, updates)
    rig.apply(1)
    expect(rig.first.writtenBytes).toBe(size)
    expect(rig.image(0).equals(wanted)).toBe(true)
    rig.close()
  })

  test('zeros over data, data over zeros, a whole volume of zeros larger than one write', () => {
    const size = (5 << 20) + 3
    const rig = new Rig({ directory: temporaryDirectory(), volumes: [{ name: 'v', size }], components: 1 })
    rig.begin(1)
    for (let n = 0; n < 50; n++) rig.write(1, 0, n + 1, n * 100_000, bytesOf(60_000, 0xab))
    rig.sync()
    rig.commit(1)
    rig.apply(1)
    expect(rig.image(0)[4_900_000]).toBe(0xab)
    rig.begin(2)
    rig.zero(2, 0, 1, 0, size)
    rig.write(2, 0, 2, size - 2, bytesOf(2, 5))
    rig.sync()
    rig.commit(2, 2)
    rig.apply(2)
    expect(rig.first.writtenBytes).toBe(size)
    const wanted = Buffer.alloc(size)
    wanted.fill(5, size - 2)
    expect(rig.image(0).equals(wanted)).toBe(true)
    rig.close()
  })

  test('zeros leave a sparse image sparse', () => {
    const rig = new Rig({ directory: temporaryDirectory(), volumes: [{ name: 'v', size: 64 << 20 }], components: 1 })
    rig.begin(1)
    rig.zero(1, 0, 1, 0, 64 << 20)
    rig.sync()
    rig.commit(1)
    rig.apply(1)
    const { size, blocks } = fs.statSync(rig.directory.volumes[0]?.path ?? '')
    expect(size).toBe(64 << 20)
    expect(blocks * 512).toBeLessThan(1 << 20)
    rig.close()
  })

  test('more updates than one block takes, small and large', () => {
    const count = 20_000
    const size = count * 16
    const volumes = [{ name: 'v', size }]
    const rig = new Rig({ directory: temporaryDirectory(), volumes, components: 1 })
    rig.begin(1)
    for (let n = 0; n < count; n++) rig.write(1, 0, n + 1, n * 16, bytesOf(16, n % 251))
    rig.sync()
    rig.commit(1, count)
    rig.apply(1)
    const image = rig.image(0)
    for (let n = 0; n < count; n++) if (image[n * 16 + 15] !== n % 251) expect.fail(`update ${n} is not in the image`)
    rig.begin(2)
    for (let n = 0; n < 40; n++) rig.write(2, 0, n + 1, n * 6000, bytesOf(65_536, n + 1))
    rig.sync()
    rig.commit(2, 40)
    rig.apply(2)
    for (let n = 0; n < 40; n++) expect(rig.image(0)[n * 6000]).toBe(n + 1)
    rig.close()
  })

  test('an update that is not of the set, the component or the volume stops the store before it gets to an image', () => {
    const rig = new Rig({ directory: temporaryDirectory() })
    const { records } = rig
    const { arena } = records
    rig.begin(1)
    expect(errorOf(() => rig.first.append(arena, records.data(2, 0, 1, 0, bytesOf(1, 1)))).code).toBe(
      'TIDEMARK_CORRUPT'
    )
    expect(errorOf(() => rig.first.append(arena, records.data(1, 1, 1, 0, bytesOf(1, 1)))).code).toBe(
      'TIDEMARK_CORRUPT'
    )
    expect(errorOf(() => rig.first.append(arena, records.data(1, 9, 1, 0, bytesOf(1, 1)))).code).toBe(
      'TIDEMARK_CORRUPT'
    )
    const beyond = errorOf(() => rig.first.append(arena, records.data(1, 0, 1, 9_999, bytesOf(2, 1))))
    expect(beyond.code).toBe('TIDEMARK_CORRUPT')
    expect(beyond.details).toMatchObject({ set: 1, volume: 0, offset: 9_999, length: 2, size: 10_000 })
    rig.close()
  })
})

describe('the way of a set', () => {
  test('a part that starts again replaces what was received of it', () => {
    const rig = new Rig({ directory: temporaryDirectory() })
    rig.begin(1)
    rig.write(1, 0, 1, 0, bytesOf(100, 1))
    rig.write(1, 0, 2, 5000, bytesOf(3000, 1))
    rig.begin(1)
    rig.write(1, 0, 1, 50, bytesOf(10, 2))
    rig.sync()
    rig.commit(1)
    rig.kill()
    const again = new Rig({ directory: rig.directory.layout.directory })
    const wanted = Buffer.alloc(10_000)
    wanted.fill(2, 50, 60)
    expect(again.image(0).equals(wanted)).toBe(true)
    again.close()
  })

  test('readers see each step: secured, applying before the first byte, applied', () => {
    const directory = temporaryDirectory()
    const rig = new Rig({ directory })
    expect(inspectDirectory(directory)).toMatchObject({
      clean: true,
      appliedSet: 0,
      securedSet: 0,
      consistencyTime: null
    })
    rig.begin(1)
    rig.write(1, 0, 1, 0, bytesOf(10, 1))
    rig.sync()
    expect(inspectDirectory(directory).securedSet).toBe(0)
    rig.commit(1)
    expect(inspectDirectory(directory)).toMatchObject({ clean: false, securedSet: 1, appliedSet: 0, applying: null })
    rig.first.announce(1)
    expect(inspectDirectory(directory)).toMatchObject({ clean: false, applying: 1, consistencyTime: null })
    expect(rig.image(0)[0]).toBe(0)
    rig.applyAll(1)
    expect(inspectDirectory(directory)).toMatchObject({ clean: false, applying: 1, appliedSet: 0 })
    rig.first.mark(1)
    rig.first.release(1)
    expect(inspectDirectory(directory)).toMatchObject({
      clean: true,
      applying: null,
      appliedSet: 1,
      consistencyTime: 1000
    })
    rig.close()
  })

  test('segments are removed when their sets are applied, not before, and none is left after an orderly end', () => {
    const directory = temporaryDirectory()
    const rig = new Rig({ directory }, 1000)
    const names = () => fs.readdirSync(path.join(directory, 'tidemark/journal')).sort()
    for (let set = 1; set <= 3; set++) {
      rig.begin(set)
      for (const volume of [0, 1]) rig.write(set, volume, 1, 0, bytesOf(2000, set))
      rig.sync()
      rig.commit(set, 2)
    }
    const all = ['0-1.log', '0-2.log', '0-3.log', '1-1.log', '1-2.log', '1-3.log']
    expect(names()).toEqual(all)
    rig.first.announce(1)
    rig.applyAll(1)
    expect(names()).toEqual(all)
    rig.first.mark(1)
    rig.first.release(1)
    expect(names()).toEqual(all.filter((name) => name !== '0-1.log'))
    // The other component learns of the mark by the next announcement.
    rig.first.announce(2)
    rig.applyAll(2)
    expect(names()).toEqual(['0-2.log', '0-3.log', '1-2.log', '1-3.log'])
    rig.first.mark(2)
    rig.first.release(2)
    rig.apply(3)
    rig.close()
    expect(names()).toEqual([])
    // That of the last applied set says what it was.
    expect(readCommits(path.join(directory, 'tidemark/commits.log')).commits.map(({ set }) => set)).toEqual([3])
  })

  test('sets of which nothing came are applied and marked, also over gaps', () => {
    const directory = temporaryDirectory()
    const rig = new Rig({ directory })
    rig.commit(4, 0)
    rig.apply(4)
    expect(rig.first.writtenBytes).toBe(0)
    expect(inspectDirectory(directory)).toMatchObject({ clean: true, appliedSet: 4, consistencyTime: 4000 })
    rig.close()
  })

  test('steps out of order are refused', () => {
    const rig = new Rig({ directory: temporaryDirectory() })
    rig.begin(1)
    rig.sync()
    expect(() => rig.begin(1)).toThrow('set 1 cannot be begun')
    expect(() => rig.first.announce(1)).toThrow('set 1 cannot be announced')
    rig.commit(1)
    expect(() => rig.commit(1)).toThrow('set 1 cannot be committed')
    rig.begin(2)
    rig.sync()
    expect(() => rig.first.beginApply(2)).toThrow('set 2 cannot be applied, set 1 comes before')
    rig.apply(1)
    expect(() => rig.first.announce(1)).toThrow('set 1 cannot be announced')
    rig.close()
  })
})

/** The spool's files: what comes out is what went in, whole or refused; deaths at every call; what an older group has left. */
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { SpoolDirectory } from '../../src/secondary/spool-directory.ts'
import { FileSpoolStore } from '../../src/secondary/spool-store.ts'
import { MortalFiles } from './mortal-files.ts'
import { bytesOf, errorOf, flipByte, Records, Rig, temporaryDirectory } from './support.ts'

const SIZES = [10_000, 4097]

afterEach(() => {
  vi.restoreAllMocks()
})

interface Update {
  readonly volume: number
  readonly sequence: number
  readonly offset: number
  readonly length: number
  /** 0: zeros. */
  readonly fill: number
}

/** Overlapping ones, small and large, and zeros. */
function updatesOf(set: number): Update[] {
  return SIZES.flatMap((_, volume) => [
    { volume, sequence: 1, offset: set * 10, length: 3000, fill: 10 * set + volume },
    { volume, sequence: 2, offset: set * 10 + 100, length: 20, fill: 0 },
    { volume, sequence: 3, offset: set * 10 + 90, length: 15, fill: 10 * set + volume + 5 }
  ])
}

function modelAfter(sets: readonly number[]): Buffer[] {
  const images = SIZES.map((size) => Buffer.alloc(size))
  for (const set of sets) {
    for (const { volume, offset, length, fill } of updatesOf(set)) images[volume]?.fill(fill, offset, offset + length)
  }
  return images
}

function put(store: FileSpoolStore, set: number, records = new Records(1 << 16, 10)): void {
  store.begin(set)
  for (const { volume, sequence, offset, length, fill } of updatesOf(set)) {
    const address =
      fill === 0
        ? records.zero(set, volume, sequence, offset, length)
        : records.data(set, volume, sequence, offset, bytesOf(length, fill))
    store.append(records.arena, address)
  }
  store.gather()
  // Used for something else from now on.
  records.clear()
  store.sync()
}

/** A spool, and a secondary of two components that takes sets from it. */
class SpoolRig {
  readonly segments = temporaryDirectory()
  readonly directory = temporaryDirectory()
  readonly store = new FileSpoolStore({ directory: this.segments, sizes: SIZES })
  readonly rig = new Rig({ directory: this.directory }, undefined, this.segments)

  take(set: number): void {
    for (const store of this.rig.stores) {
      store.beginKept(set)
      while (!store.takeSome());
      store.gather()
    }
    this.rig.sync()
    this.rig.commit(set, updatesOf(set).length)
    this.rig.first.announce(set)
    this.rig.applyAll(set)
    this.rig.first.mark(set)
  }

  images(): Buffer[] {
    return ['a', 'b'].map((name) => fs.readFileSync(path.join(this.directory, `volumes/${name}.img`)))
  }
}

function filesIn(directory: string): string[] {
  return fs.readdirSync(directory).sort()
}

describe('sets over the spool', () => {
  test('come into the images as they were, of any number of sets, and each is removed by itself', () => {
    const rig = new SpoolRig()
    const { store, segments } = rig
    const sets = [1, 2, 4]
    for (const set of sets) put(store, set)
    expect(filesIn(segments)).toEqual(['0-1.log', '0-2.log', '0-4.log'])
    for (const [n, set] of sets.entries()) {
      rig.take(set)
      store.remove(set)
      expect(filesIn(segments)).toEqual(['0-1.log', '0-2.log', '0-4.log'].slice(n + 1))
      expect(rig.images()).toEqual(modelAfter(sets.slice(0, n + 1)))
    }
    store.close()
  })

  test('one that is secured before it is whole here is given up, and its room with it', () => {
    const segments = temporaryDirectory()
    const store = new FileSpoolStore({ directory: segments, sizes: SIZES })
    const records = new Records(1 << 16, 10)
    store.begin(3)
    store.append(records.arena, records.data(3, 0, 1, 0, bytesOf(5000, 7)))
    store.gather()
    store.remove(3)
    expect(filesIn(segments)).toEqual([])
    put(store, 5)
    expect(filesIn(segments)).toEqual(['0-5.log'])
    store.remove(4)
    expect(filesIn(segments)).toEqual(['0-5.log'])
    store.close()
  })

  test('without room at the secondary the set is gone on with where it stopped', () => {
    const rig = new SpoolRig()
    put(rig.store, 1)
    const { writevSync } = fs
    let refused = 0
    vi.spyOn(fs, 'writevSync').mockImplementation((...args) => {
      if (++refused % 2 === 1) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
      return writevSync(...args)
    })
    for (const store of rig.rig.stores) {
      const again = (work: () => void): void => {
        for (let tries = 0; tries < 5; tries++) {
          try {
            work()
            return
          } catch (error) {
            expect(error).toMatchObject({ code: 'TIDEMARK_NO_SPACE' })
          }
        }
        throw new Error('it never succeeds')
      }
      again(() => store.beginKept(1))
      for (let done = false; !done; ) {
        again(() => {
          done = store.takeSome()
        })
      }
      again(() => store.gather())
      again(() => store.sync())
    }
    expect(refused).toBeGreaterThanOrEqual(12)
    rig.rig.commit(1, 6)
    rig.rig.first.announce(1)
    rig.rig.applyAll(1)
    expect(rig.images()).toEqual(modelAfter([1]))
  })
})

describe('damage', () => {
  test('each byte flipped in turn, each truncation: refused by name, never taken for a set', () => {
    const rig = new SpoolRig()
    put(rig.store, 1)
    rig.store.close()
    const file = path.join(rig.segments, '0-1.log')
    const { size } = fs.statSync(file)
    const whole = fs.readFileSync(file)
    const take = (): void => {
      for (const store of rig.rig.stores) {
        store.beginKept(1)
        while (!store.takeSome());
      }
    }
    const expectRefused = (what: string): void => {
      const error = errorOf(take)
      expect(error, what).toMatchObject({ code: 'TIDEMARK_CORRUPT' })
      expect(error?.message, what).toMatch(/spool/)
    }
    // Headers, entries and ends wholly, of the data a sample.
    const positions = Array.from({ length: size }, (_, n) => n).filter((n) => n < 600 || n > size - 100 || n % 97 === 0)
    for (const position of positions) {
      flipByte(file, position)
      expectRefused(`byte ${position}`)
      flipByte(file, position)
    }
    for (const length of positions) {
      fs.truncateSync(file, length)
      expectRefused(`cut at ${length}`)
      fs.writeFileSync(file, whole)
    }
    take()
  })
})

describe('the spool dies', () => {
  function run(dieAt: number, torn: boolean): MortalFiles {
    const segments = temporaryDirectory()
    const files = new MortalFiles(0)
    files.dieAt = dieAt
    files.torn = torn
    files.watch()
    const sets = [1, 2, 3]
    let [told, removed] = [0, 0]
    let store: FileSpoolStore | undefined
    let kept = 0
    const open = (): void => {
      const next = new FileSpoolStore({ directory: segments, sizes: SIZES })
      kept = files.deaths === 0 ? 0 : next.resume(told, removed)
      store = next
    }
    const work = (): void => {
      if (store === undefined) open()
      for (const set of sets) {
        if (set > kept) put(store as FileSpoolStore, set)
        kept = Math.max(kept, set)
        if (set > told) expect(files.isDurable(path.join(segments, `0-${set}.log`)), `set ${set}`).toBe(true)
        told = Math.max(told, set)
      }
      ;(store as FileSpoolStore).remove(1)
      removed = 1
    }
    while (!files.run(0, work)) store = undefined
    vi.restoreAllMocks()
    expect(filesIn(segments)).toEqual(['0-2.log', '0-3.log'])
    const secondary = new Rig({ directory: temporaryDirectory() }, undefined, segments)
    for (const each of secondary.stores) {
      each.beginKept(3)
      while (!each.takeSome());
    }
    return files
  }

  test.each([false, true])('at each call, torn: %s: what was told is kept, and it goes on', (torn) => {
    let dieAt = 1
    for (; ; dieAt++) if (run(dieAt, torn).deaths === 0) break
    expect(dieAt).toBeGreaterThan(torn ? 6 : 20)
  })

  test('a set that it had told and that is not there any more is missed', () => {
    const segments = temporaryDirectory()
    const store = new FileSpoolStore({ directory: segments, sizes: SIZES })
    put(store, 1)
    store.close()
    fs.truncateSync(path.join(segments, '0-1.log'), 100)
    const next = new FileSpoolStore({ directory: segments, sizes: SIZES })
    expect(errorOf(() => next.resume(1, 0))).toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { set: 1 } })
  })
})

describe('its directory', () => {
  test('is emptied of what an older group has left; files of others stay', () => {
    const directory = temporaryDirectory()
    const first = SpoolDirectory.open(directory, 'g')
    expect(first.stale).toBe(0)
    const store = new FileSpoolStore({ directory: first.segments, sizes: SIZES })
    put(store, 1)
    put(store, 2)
    store.close()
    fs.writeFileSync(path.join(first.segments, 'notes.txt'), 'mine')
    fs.rmSync(path.join(directory, 'lock'))
    const second = SpoolDirectory.open(directory, 'g')
    expect(second.stale).toBe(2)
    expect(filesIn(second.segments)).toEqual(['notes.txt'])
    expect(errorOf(() => SpoolDirectory.open(directory, 'g'))).toMatchObject({ code: 'TIDEMARK_LOCKED' })
    second.close()
    expect(filesIn(directory)).toEqual(['segments', 'spool.json'])
    SpoolDirectory.open(directory, 'other').close()
  })

  test('of another version is refused and left as it is', () => {
    const directory = temporaryDirectory()
    SpoolDirectory.open(directory, 'g').close()
    fs.writeFileSync(path.join(directory, 'spool.json'), '{"version":2}')
    fs.writeFileSync(path.join(directory, 'segments/0-1.log'), 'what?')
    expect(errorOf(() => SpoolDirectory.open(directory, 'g'))).toMatchObject({ code: 'TIDEMARK_VERSION' })
    expect(filesIn(path.join(directory, 'segments'))).toEqual(['0-1.log'])
    expect(filesIn(directory)).toEqual(['segments', 'spool.json'])
  })
})

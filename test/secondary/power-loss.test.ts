/** The power fails at every write, every sync and every change of a name: nothing that was told secured is lost, nothing is half. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { HistoryPolicy } from '../../src/secondary/kept-sets.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { type Boundary, boundaryOf, DIRECTORY, DiskRun, largeUpdates, openRunDirectory, type Told } from './disk-run.ts'
import { NEWEST, OLDEST, SimulatedDisk, type Survival, unmount } from './simulated-disk.ts'
import { seeded } from './support.ts'
import { undone } from './undone.ts'

afterEach(unmount)

const RANDOM_SURVIVALS = 4
const KEPT_SETS = 3
const HISTORY = { sets: KEPT_SETS }
vi.setConfig({ testTimeout: 180_000 })

interface Moment {
  readonly what: string
  readonly disk: unknown
  readonly told: Told
}

/** A whole life: sets alone and together, parts that start again, components that do, several openings. */
function live(run: DiskRun): void {
  run.open()
  run.receiveAll(1)
  run.commit(1)
  run.apply(1)
  // Two that are secured as one, while the next is received already.
  run.receiveAll(2)
  run.receiveAll(3)
  run.commit(3, [2, 3])
  run.announce(3)
  run.beginApply(3)
  run.receive(4, 0, false)
  run.receiveAll(4)
  run.finishApply(3)
  run.mark(3)
  run.commit(4)
  // A component ends within a part, and one that has journaled and may not have told; what is not told is sent again.
  run.receive(5, 1, false)
  run.restart(1)
  run.receiveAll(5)
  run.restart(0)
  run.commit(5, [5], 'named')
  run.restart(0)
  run.apply(4)
  run.announce(5)
  run.beginApply(5)
  run.restart(1)
  run.restart(0)
  run.beginApply(5)
  run.finishApply(5)
  run.mark(5)
  run.receiveAll(6)
  // 'mirrored': the next one comes, and is journaled by some, before this one is committed.
  run.receive(7, 1)
  run.receive(7, 0, false)
  run.commit(6)
  run.restart(1)
  run.receive(7, 0)
  run.close()
  // The directory is opened again: what waits is applied, and identifiers go on above all that were used.
  run.open()
  run.receiveAll(11)
  run.commit(11)
  run.end()
  run.open()
  // Both components end while sets wait for each other.
  run.receiveAll(21)
  run.restart(1)
  run.receiveAll(22)
  run.restart(0)
  run.commit(22, [21, 22])
  run.restart(1)
  run.apply(22)
  run.close()
}

/** Every moment of what is done, and what everybody had been told by then. */
function momentsOf(disk: SimulatedDisk, told: () => Told, work: () => void): Moment[] {
  const moments: Moment[] = []
  disk.onMoment = (what) => moments.push({ what, disk: disk.image(), told: told() })
  work()
  disk.onMoment = undefined
  moments.push({ what: 'the end', disk: disk.image(), told: told() })
  return moments
}

function survivals(seed: number): Survival[] {
  const drawn = Array.from({ length: RANDOM_SURVIVALS }, (_, n): Survival => {
    const random = seeded(seed * 100 + n)
    return (versions) => Math.floor(random() * versions)
  })
  return [OLDEST, NEWEST, ...drawn]
}

/** Everything is at exactly one boundary, never before what was told secured, and no identifier comes again. */
function checkRecovered(run: DiskRun, told: Told): void {
  const directory = openRunDirectory(run.history)
  const { lastSet } = directory
  directory.close()
  const at = boundaryOf(run.boundaries)
  if (at < told.secured || at > told.committing) {
    throw new Error(`at boundary ${at}, though ${told.secured} was told secured and ${told.committing} written`)
  }
  if (lastSet < told.used) throw new Error(`identifiers go on after ${lastSet}, but ${told.used} was used`)
  if (run.history !== undefined) checkHistory(run.boundaries.slice(1, at + 1).slice(-KEPT_SETS))
}

/** Each boundary that is to be kept can be had, by nothing but the images and undo. */
function checkHistory(boundaries: readonly Boundary[]): void {
  const { history } = inspectDirectory(DIRECTORY)
  const found = history.map(({ set }) => set).join()
  const wanted = boundaries.map(({ set }) => set).join()
  if (found !== wanted) throw new Error(`sets ${found} are kept, not ${wanted}`)
  for (const { set, images } of boundaries) {
    for (const [volume, image] of undone(DIRECTORY, ['v0', 'v1'], set).entries()) {
      if (!image.equals(images[volume] as Uint8Array))
        throw new Error(`volume ${volume} is not had as after set ${set}`)
    }
  }
}

/** Opens what is left and checks it. Returns what was wrong. */
function wrongAfter(run: DiskRun, { told }: Moment): string | undefined {
  try {
    checkRecovered(run, told)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** The power fails at each moment. Returns what was wrong afterwards, and how to find it again. @param most  enough of them */
function cutAll({ disk, run, moments }: Life, most = Number.POSITIVE_INFINITY): string[] {
  const failures: string[] = []
  for (const [n, moment] of moments.entries()) {
    for (const [s, survival] of survivals(n).entries()) {
      if (failures.length === most) return failures
      disk.load(moment.disk)
      disk.failPower(survival)
      const wrong = wrongAfter(run, moment)
      if (wrong !== undefined) failures.push(`moment ${n} (${moment.what}), survival ${s}: ${wrong}`)
    }
  }
  return failures
}

interface Life {
  readonly disk: SimulatedDisk
  readonly run: DiskRun
  readonly moments: readonly Moment[]
}

function lifeOn(disk: SimulatedDisk, history?: HistoryPolicy): Life {
  disk.mount()
  const run = new DiskRun(largeUpdates, history)
  const moments = momentsOf(
    disk,
    () => run.told,
    () => live(run)
  )
  return { disk, run, moments }
}

describe('the power fails', () => {
  test('at every moment of a whole life', () => {
    const life = lifeOn(new SimulatedDisk())
    expect(life.moments.length).toBeGreaterThan(300)
    expect(cutAll(life)).toEqual([])
  })

  test('at every moment of a whole life with history', () => {
    const life = lifeOn(new SimulatedDisk(), HISTORY)
    expect(life.moments.length).toBeGreaterThan(400)
    expect(cutAll(life)).toEqual([])
  })

  test('at every moment of what follows the end of the process, wherever that came', () => {
    const { disk, run, moments } = lifeOn(new SimulatedDisk())
    const failures: string[] = []
    let cuts = 0
    for (const [n, killed] of moments.entries()) {
      disk.load(killed.disk)
      const recovering = momentsOf(
        disk,
        () => killed.told,
        () => {
          const wrong = wrongAfter(run, killed)
          if (wrong !== undefined) failures.push(`killed at moment ${n} (${killed.what}): ${wrong}`)
        }
      )
      for (const [m, moment] of recovering.entries()) {
        // What is recovered at neighbouring moments is much the same: a third of it each.
        if ((n + m) % 3 !== 0) continue
        const drawn = survivals(n * 1000 + m)
        const s = Math.floor((n + m) / 3) % drawn.length
        disk.load(moment.disk)
        disk.failPower(drawn[s] as Survival)
        const wrong = wrongAfter(run, killed)
        cuts++
        if (wrong === undefined) continue
        failures.push(`killed at moment ${n} (${killed.what}), moment ${m} (${moment.what}), survival ${s}: ${wrong}`)
      }
    }
    expect(failures).toEqual([])
    expect(cuts).toBeGreaterThan(3000)
  })

  test('and again at every moment of the recovery', () => {
    const { disk, run, moments } = lifeOn(new SimulatedDisk())
    const failures: string[] = []
    for (let n = 0; n < moments.length; n += 5) {
      const first = moments[n] as Moment
      const drawn = survivals(n)
      disk.load(first.disk)
      disk.failPower(drawn[(n / 5) % drawn.length] as Survival)
      const recovering = momentsOf(
        disk,
        () => first.told,
        () => wrongAfter(run, first)
      )
      for (const [m, moment] of recovering.entries()) {
        disk.load(moment.disk)
        disk.failPower(drawn[m % drawn.length] as Survival)
        const wrong = wrongAfter(run, first)
        if (wrong === undefined) continue
        failures.push(`moment ${n} (${first.what}), then moment ${m} (${moment.what}): ${wrong}`)
      }
    }
    expect(failures).toEqual([])
  })
})

describe('a disk that does not sync what it says it has: the loss is seen', () => {
  test.each([
    ['segments', /journal\/.*log$/],
    ['names of segments', /journal$/],
    ['the commit log', /commits\.log$/],
    ['images', /\.img$/],
    ['the state', /state$/],
    ['the ceiling', /ceiling$/],
    ['files on their way to a name', /\.new$/]
  ])('%s', (_, liesAbout) => {
    const disk = new SimulatedDisk()
    disk.liesAbout = liesAbout
    expect(cutAll(lifeOn(disk), 1)).toHaveLength(1)
  })

  test.each([
    ['undo', /history\/.*$/],
    ['names of undo', /history$/]
  ])('%s', (_, liesAbout) => {
    const disk = new SimulatedDisk()
    disk.liesAbout = liesAbout
    expect(cutAll(lifeOn(disk, HISTORY), 1)).toHaveLength(1)
  })
})

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest'
import { readCommits } from '../../src/secondary/commit-log.ts'
import { openDirectory } from '../../src/secondary/directory.ts'
import { FileSetStore } from '../../src/secondary/file-store.ts'
import { layoutOf } from '../../src/secondary/format.ts'
import { listSegments, readSegment } from '../../src/secondary/journal-reader.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { listUndo, undoPath } from '../../src/secondary/undo.ts'
import { MortalFiles } from './mortal-files.ts'
import { countUpTo, LAST_SET, modelAfter, RestartGroup, SETS, SIZES, segmentsOf, setOfLow } from './restart-group.ts'
import { wrongSums } from './sums.ts'
import { undone } from './undone.ts'

const VOLUMES = SIZES.map((size, n) => ({ name: `v${n}`, size }))
export const MODELS = [0, ...SETS].map((_, n) => modelAfter(n))
const MOST_DEATHS = 5
/** One set goes while the others are applied. */
const KEPT_SETS = 2
export const LARGE = 1 << 20
export const SMALL = 2000

let root = ''
beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-restart-'))
  for (const components of [1, 2]) {
    for (const history of [false, true]) {
      const directory = openDirectory({
        ...optionsOf({ components, history }),
        directory: template(components, history)
      })
      directory.raiseCeiling(LAST_SET)
      directory.close()
    }
  }
})
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))
afterEach(() => {
  vi.restoreAllMocks()
})

function template(components: number, history = false): string {
  return path.join(root, `template-${components}-${history}`)
}

function optionsOf({ components, history = false }: Pick<Case, 'components' | 'history'>) {
  return { group: 'g', volumes: VOLUMES, components, ...(history && { history: { sets: KEPT_SETS } }) }
}

/** Makes one directory what another one is. Files are written over: making and removing thousands of them takes longer. */
function copyInto(to: string, from: string): string {
  for (const name of ['volumes', 'tidemark', 'tidemark/journal', 'tidemark/history']) {
    fs.mkdirSync(path.join(to, name), { recursive: true })
    const wanted = fs.readdirSync(path.join(from, name), { withFileTypes: true })
    const files = wanted.filter((entry) => entry.isFile()).map((entry) => entry.name)
    for (const file of files) overwrite(path.join(to, name, file), fs.readFileSync(path.join(from, name, file)))
    for (const entry of fs.readdirSync(path.join(to, name), { withFileTypes: true })) {
      if (entry.isFile() && !files.includes(entry.name)) fs.rmSync(path.join(to, name, entry.name))
    }
  }
  return to
}

function overwrite(file: string, bytes: Uint8Array): void {
  const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT)
  fs.ftruncateSync(fd, bytes.length)
  fs.writeSync(fd, bytes, 0, bytes.length, 0)
  fs.closeSync(fd)
}

export interface Case {
  readonly components: number
  readonly victim: number
  readonly segmentBytes: number
  readonly viewAtDeath: boolean
  readonly history?: boolean
}

/** A group on files of its own, in which one component may die. */
export class RestartRig {
  readonly directory: string
  readonly files: MortalFiles
  readonly group: RestartGroup
  private readonly kind: Case
  private readonly dieAgain: number

  /** @param dieAgain  so many places after each death it dies again, a few times */
  constructor(kind: Case, dieAt: number, { torn = false, dieAgain = Number.POSITIVE_INFINITY } = {}) {
    this.kind = kind
    this.dieAgain = dieAgain
    this.directory = copyInto(path.join(root, 'work'), template(kind.components, kind.history))
    this.files = new MortalFiles(kind.victim)
    this.files.dieAt = dieAt
    this.files.torn = torn
    this.files.onWrite = (file) => this.writing(file)
    this.files.watch()
    const hooks = {
      makeStore: (index: number) => new FileSetStore(this.storeOptions(index)),
      telling: (word: string, index: number, set: number) => this.telling(word, index, set),
      died: () => this.died(),
      resumed: () => this.resumed()
    }
    this.group = new RestartGroup(kind.components, this.files, hooks, kind.viewAtDeath)
  }

  private died(): void {
    if (this.files.deaths < MOST_DEATHS) this.files.dieAt = this.files.points + this.dieAgain
    if (this.files.torn) this.expectRecoverable()
  }

  /** Nothing of an unfinished part is left, and no segment that is not needed. */
  private resumed(): void {
    const { victim } = this.kind
    const own = listSegments(layoutOf(this.directory).journal).filter(({ component }) => component === victim)
    const { appliedSet } = inspectDirectory(this.directory)
    for (const segment of own) {
      let last = 0
      const end = readSegment(segment, ({ set }) => {
        last = set
      })
      expect(end).toBeNull()
      if (victim === 0 && segment !== own.at(-1)) expect(last).toBeGreaterThan(appliedSet)
    }
    this.expectRecoverable()
  }

  storeOptions(component: number) {
    const { directory, kind } = this
    const { components, segmentBytes } = kind
    const volumes = SIZES.map((size, n) => ({ path: path.join(directory, `volumes/v${n}.img`), size }))
    const keeps = SIZES.flatMap((_, volume) => (volume % components === component ? [volume] : []))
    const history = kind.history ? { policy: { sets: KEPT_SETS }, numbers: [...SIZES.keys()] } : undefined
    return { directory, volumes, component, components, keeps, lastSet: LAST_SET, segmentBytes, history }
  }

  /** What is told is so, and stays so when the power fails. */
  private telling(word: string, index: number, set: number): void {
    const layout = layoutOf(this.directory)
    const images = this.storeOptions(index).keeps.map((volume) => path.join(layout.volumes, `v${volume}.img`))
    if (word === 'journaled') this.expectDurable(word, segmentsOf(layout.journal, index))
    if (word === 'committed') this.expectDurable(word, [layout.commits, layout.state])
    if (word === 'applied') this.expectDurable(word, images)
    if (word === 'marked') this.expectDurable(word, [layout.state, layout.checksums])
    // The next set is announced, and readers see that, before any byte of it is in an image.
    if (word === 'applying') this.expectImages(this.directory, countUpTo(set) - 1)
    if (word === 'applying') expect(inspectDirectory(this.directory).applying).toBe(set)
    if (word === 'marked') this.expectImages(this.directory, countUpTo(set))
    if (word === 'marked') expect(wrongSums(this.directory)).toEqual([])
    const marked = { appliedSet: set, applying: null, consistencyTime: 1000 * countUpTo(set) }
    if (word === 'marked') expect(inspectDirectory(this.directory)).toMatchObject(marked)
  }

  private expectDurable(word: string, paths: readonly string[]): void {
    for (const file of paths) {
      if (!this.files.isDurable(file)) expect.fail(`${word} is told while ${file} is not on the disk`)
    }
  }

  expectImages(directory: string, sets: number): void {
    for (const [volume, wanted] of (MODELS[sets] as Buffer[]).entries()) {
      const image = fs.readFileSync(path.join(directory, `volumes/v${volume}.img`))
      if (!image.equals(wanted)) expect.fail(`volume ${volume} is not as after ${sets} sets`)
    }
  }

  /** Rules H1 and H3: whatever happens from here on, what the image holds now is not lost. */
  private writing(file: string): void {
    const volume = VOLUMES.findIndex(({ name }) => file === path.join(this.directory, `volumes/${name}.img`))
    if (this.kind.history !== true || volume < 0) return
    const set = setOfLow(this.group.board.loadApplying())
    const undo = undoPath(layoutOf(this.directory).history, volume % this.kind.components, set)
    if (!fs.existsSync(undo)) expect.fail(`set ${set} touches ${file} before its undo has a name`)
    if (!this.files.isDurable(undo)) expect.fail(`set ${set} touches ${file} before its undo is on the disk`)
  }

  /** Each set that is said to be kept can be had, by nothing but the images and undo. */
  private expectHistory(directory: string): void {
    if (this.kind.history !== true) return
    const { history, appliedSet } = inspectDirectory(directory)
    const names = VOLUMES.map(({ name }) => name)
    const kept = SETS.slice(0, countUpTo(appliedSet)).slice(-KEPT_SETS)
    expect(history.map(({ set }) => set)).toEqual(kept)
    for (const set of kept) {
      for (const [volume, wanted] of (MODELS[countUpTo(set)] as Buffer[]).entries()) {
        const found = undone(directory, names, set)[volume]
        if (found?.equals(wanted) !== true) expect.fail(`volume ${volume} is not had as after set ${set}`)
      }
    }
  }

  /** If the whole process ended here: everything that was told to be secured is in the images afterwards. */
  expectRecoverable(): void {
    const copy = copyInto(path.join(root, 'crashed'), this.directory)
    openDirectory({ ...optionsOf(this.kind), directory: copy }).close()
    const { appliedSet, clean } = inspectDirectory(copy)
    expect(clean).toBe(true)
    expect(countUpTo(appliedSet)).toBeGreaterThanOrEqual(countUpTo(setOfLow(this.group.board.loadCommitted())))
    this.expectImages(copy, countUpTo(appliedSet))
    expect(wrongSums(copy)).toEqual([])
    this.expectHistory(copy)
  }

  closeStores(): void {
    for (const store of this.group.storesOpen) (store as FileSetStore).close()
  }

  /** All sets are applied: nothing is left over, nothing was done twice. */
  expectEnd(): void {
    const layout = layoutOf(this.directory)
    this.closeStores()
    expect(readCommits(layout.commits).commits.map(({ set }) => set)).toEqual(SETS)
    const parts = new Map<number, number[]>()
    for (const segment of listSegments(layout.journal)) {
      const sets = parts.get(segment.component) ?? []
      expect(readSegment(segment, ({ set }) => sets.push(set))).toBeNull()
      parts.set(segment.component, sets)
    }
    for (let index = 0; index < this.kind.components; index++) {
      // In one segment all of them are to be seen; else the first component keeps the last, the others one more: they learn
      // of a mark by the next announcement.
      const sets = parts.get(index) as number[]
      if (this.kind.segmentBytes === LARGE) expect(sets, `component ${index}`).toEqual(SETS)
      else expect(sets, `component ${index}`).toEqual(SETS.slice(-sets.length))
      if (this.kind.segmentBytes === SMALL) expect(sets.length).toBeLessThanOrEqual(index === 0 ? 1 : 2)
    }
    this.expectImages(this.directory, SETS.length)
    this.expectHistory(this.directory)
    if (this.kind.history)
      expect(listUndo(layout.history).map(({ set }) => set)).toEqual(parts.size === 1 ? [SETS[2]] : [SETS[2], SETS[2]])
    const directory = openDirectory({ ...optionsOf(this.kind), directory: this.directory })
    expect(fs.readdirSync(layout.journal)).toEqual([])
    directory.close()
    vi.restoreAllMocks()
  }
}

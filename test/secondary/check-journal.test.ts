import fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { judgeJournal, readExpected } from '../../src/secondary/check-journal.ts'
import { beginSegmentCheck, checkSomeOfSegment, type SegmentCheck } from '../../src/secondary/check-segment.ts'
import { readCommits } from '../../src/secondary/commit-log.ts'
import { type Commit, encodeCommit } from '../../src/secondary/commit-record.ts'
import { openExistingDirectory } from '../../src/secondary/directory.ts'
import { listSegments } from '../../src/secondary/journal-reader.ts'
import type { JournalProblem } from '../../src/types.ts'
import { bytesOf, flipByte, Rig, segmentOf, temporaryDirectory } from './support.ts'

function problemsOf(rig: Rig, budgetBytes = 1 << 20): JournalProblem[] {
  const { layout } = rig.directory
  const expected = readExpected(layout)
  const checks = listSegments(layout.journal).map((segment) => {
    let check: SegmentCheck = beginSegmentCheck(segment)
    while (!check.isDone) check = structuredClone(checkSomeOfSegment(check, budgetBytes))
    return check
  })
  return judgeJournal(expected, checks)
}

function receive(rig: Rig, set: number): void {
  rig.begin(set)
  for (const volume of [0, 1]) {
    rig.write(set, volume, 1, 10 * set, bytesOf(20, set))
    rig.zero(set, volume, 2, 10 * set + 10, 5)
  }
}

/** Sets up to `applied` are applied, up to `committed` secured; one more is begun. Killed, and where that one began in each journal. */
function left(applied: number, committed: number, segmentBytes?: number): { rig: Rig; tails: number[] } {
  const rig = new Rig({ directory: temporaryDirectory() }, segmentBytes)
  for (let set = 1; set <= committed; set++) {
    receive(rig, set)
    rig.sync()
    rig.commit(set, 4)
  }
  for (let set = 1; set <= applied; set++) {
    rig.first.announce(set)
    rig.applyAll(set)
    rig.first.mark(set)
  }
  const sizeOf = (component: number): number => {
    const own = listSegments(rig.directory.layout.journal).filter((segment) => segment.component === component)
    const last = own.at(-1)
    return last === undefined ? 0 : fs.statSync(last.path).size
  }
  const tails = [sizeOf(0), sizeOf(1)]
  receive(rig, committed + 1)
  for (const store of rig.stores) store.gather()
  rig.kill()
  return { rig, tails }
}

describe('a journal as a crash leaves it', () => {
  test.each([
    [0, 0],
    [0, 3],
    [2, 3],
    [3, 3]
  ])('with %i sets applied of %i secured, and one begun: nothing is wrong', (applied, committed) => {
    const { rig } = left(applied, committed)
    // Also when it is read a few bytes at a time, each time by another thread.
    for (const budget of [1 << 20, 1]) expect(problemsOf(rig, budget)).toEqual([])
  })

  test.each([0, 3])(
    'every flipped byte of a secured set is found, with %i applied; of one that is not, it is harmless',
    (applied) => {
      const { rig, tails } = left(applied, 3)
      const { directory } = rig.directory.layout
      let found = 0
      let harmless = 0
      for (const component of [0, 1]) {
        const segment = segmentOf(directory, component)
        const { size } = fs.statSync(segment)
        for (let position = 0; position < size; position++) {
          flipByte(segment, position)
          const problems = problemsOf(rig)
          flipByte(segment, position)
          if (position >= (tails[component] as number)) {
            expect(problems, `byte ${position}`).toEqual([])
            harmless++
            continue
          }
          expect(problems.length, `byte ${position}`).toBeGreaterThan(0)
          for (const problem of problems) expect(problem).toMatchObject({ path: segment })
          const places = problems.flatMap((problem) => problem.position ?? [])
          expect(
            places.some((place) => place <= position),
            `byte ${position} is told at ${places}`
          ).toBe(true)
          found++
        }
      }
      expect(found).toBeGreaterThan(1000)
      expect(harmless).toBeGreaterThan(300)
      expect(problemsOf(rig)).toEqual([])
      // The set that was not secured: dropped, and with a byte of it flipped as well.
      flipByte(segmentOf(directory, 0), tails[0] as number)
      openExistingDirectory(directory).close()
    }
  )

  test('cut off anywhere: found where a secured set is cut', () => {
    const { rig, tails } = left(1, 3)
    const segment = segmentOf(rig.directory.layout.directory, 0)
    const whole = fs.readFileSync(segment)
    for (let length = whole.length - 1; length >= 0; length--) {
      fs.writeFileSync(segment, whole.subarray(0, length))
      const problems = problemsOf(rig)
      if (length >= (tails[0] as number)) expect(problems, `length ${length}`).toEqual([])
      else expect(problems.length, `length ${length}`).toBeGreaterThan(0)
    }
    fs.rmSync(segment)
    expect(problemsOf(rig)).toMatchObject([
      { path: rig.directory.layout.journal, set: 2, component: 0 },
      { set: 3, component: 0 }
    ])
  })

  test('in several segments: removed ones are not missed, only the last may end within a part', () => {
    const { rig } = left(1, 4, 100)
    const { layout } = rig.directory
    const segments = listSegments(layout.journal).filter(({ component }) => component === 1)
    expect(segments.length).toBe(5)
    expect(problemsOf(rig)).toEqual([])
    const [first, second] = segments.map(({ path }) => path) as [string, string]
    const whole = fs.readFileSync(second)
    fs.truncateSync(second, whole.length - 1)
    expect(problemsOf(rig)).toMatchObject([{ path: second }, { path: second, set: 2, component: 1 }])
    fs.writeFileSync(second, whole)
    fs.rmSync(first)
    expect(problemsOf(rig)).toEqual([])
    fs.rmSync(second)
    expect(problemsOf(rig)).toMatchObject([{ path: layout.journal, set: 2, component: 1 }])
  })

  test('updates that look like a journal are no beginning of a part', () => {
    const { rig: other } = left(0, 2)
    const inner = fs.readFileSync(segmentOf(other.directory.layout.directory, 0))
    const rig = new Rig({ directory: temporaryDirectory() })
    receive(rig, 1)
    rig.sync()
    rig.commit(1, 4)
    rig.begin(2)
    rig.write(2, 0, 1, 0, inner)
    for (const store of rig.stores) store.gather()
    rig.kill()
    const segment = segmentOf(rig.directory.layout.directory, 0)
    const { size } = fs.statSync(segment)
    expect(problemsOf(rig)).toEqual([])
    for (let length = size - inner.length - 100; length < size; length += 7) {
      fs.truncateSync(segment, size)
      fs.truncateSync(segment, length)
      expect(problemsOf(rig), `length ${length}`).toEqual([])
    }
  })
})

describe('sets that were secured as one', () => {
  /** Sets 1 and 2 have one record. */
  function together(): Rig {
    const rig = new Rig({ directory: temporaryDirectory() }, 100)
    for (const set of [1, 2]) {
      receive(rig, set)
      rig.sync()
    }
    rig.commit(2, 8)
    rig.kill()
    return rig
  }

  test('are whole, or one of them is missing', () => {
    const rig = together()
    expect(problemsOf(rig)).toEqual([])
    const segments = listSegments(rig.directory.layout.journal)
    for (const { path } of segments) {
      const whole = fs.readFileSync(path)
      fs.rmSync(path)
      expect(problemsOf(rig).length, path).toBeGreaterThan(0)
      fs.writeFileSync(path, whole)
    }
    // Of a whole set nothing is left: only what the record lists of each component tells.
    for (const { path, firstSet } of segments) if (firstSet === 1) fs.rmSync(path)
    const reason = expect.stringContaining('secured as one')
    expect(problemsOf(rig)).toMatchObject([0, 1].map((component) => ({ set: 2, component, reason })))
  })
})

test('a damaged commit log is told', () => {
  const { rig } = left(1, 3)
  const { commits } = rig.directory.layout
  flipByte(commits, 20)
  expect(problemsOf(rig)).toMatchObject([{ path: commits }])
  flipByte(commits, 20)
  expect(problemsOf(rig)).toEqual([])
  const last = readCommits(commits).commits.at(-1) as Commit
  fs.truncateSync(commits, fs.statSync(commits).size - encodeCommit(last).length)
  expect(problemsOf(rig)).toMatchObject([{ path: commits }])
})

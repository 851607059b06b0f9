/** Which sets are secured: records that are there twice, lists of their parts, and what stays of them. */
import fs from 'node:fs'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Commit, CommitLog, readCommits } from '../../src/secondary/commit-log.ts'
import { encodeCommit } from '../../src/secondary/commit-record.ts'
import { temporaryDirectory } from './support.ts'

let file = ''
beforeEach(() => {
  file = path.join(temporaryDirectory(), 'commits.log')
  fs.writeFileSync(file, '')
})

function commitOf(set: number, more: Partial<Commit> = {}): Commit {
  const parts = [
    { updates: set, bytes: 5 * set },
    { updates: 0, bytes: 0 }
  ]
  return { set, time: set * 10, updates: 2 * set, bytes: 7 * set, parts, ...more }
}

/** Of different lengths. */
const RECORDS: readonly Commit[] = [
  commitOf(1, { label: 'x' }),
  commitOf(2),
  commitOf(2 ** 52, { first: 3, label: `before-${'y'.repeat(121)}` }),
  commitOf(2 ** 52 + 1, { parts: Array.from({ length: 64 }, (_, n) => ({ updates: n, bytes: n * n })) }),
  commitOf(2 ** 52 + 2, { parts: [] })
]

function written(records: readonly Commit[]): Buffer {
  const log = new CommitLog(file)
  for (const record of records) log.append(record)
  log.close()
  return fs.readFileSync(file)
}

describe('a record', () => {
  test('is found again with all that it says', () => {
    const { length: end } = written(RECORDS)
    expect(readCommits(file)).toEqual({ commits: RECORDS, damagedBefore: 0, isWhole: true, repaired: [], end })
  })

  test('any single byte of the log is wrong: nothing is lost, and the next writer repairs it', () => {
    const whole = written(RECORDS)
    const ofByte = RECORDS.flatMap((record) => Array(encodeCommit(record).length).fill(record.set))
    const lastCopy = whole.length - encodeCommit(RECORDS[4] as Commit).length / 2
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] as number) ^ (1 + (at % 255))
      fs.writeFileSync(file, bytes)
      // The very last copy may have been cut short when its writer was killed.
      const repaired = at < lastCopy ? [ofByte[at]] : []
      const expected = { commits: RECORDS, damagedBefore: 0, isWhole: false, repaired, end: whole.length }
      expect(readCommits(file), `byte ${at}`).toEqual(expected)
      if (at % 50 !== 0) continue
      new CommitLog(file).close()
      expect(fs.readFileSync(file).equals(whole), `byte ${at}`).toBe(true)
    }
  })

  test('both copies are damaged: noticed when a valid one follows, never durable at the end', () => {
    const whole = written(RECORDS)
    let begin = 0
    for (const [n, record] of RECORDS.entries()) {
      const { length } = encodeCommit(record)
      for (const [first, second] of [
        [0, length / 2],
        [length / 2 - 1, length - 1],
        [9, length / 2 + 9]
      ]) {
        const bytes = Buffer.from(whole)
        for (const at of [first, second])
          bytes[begin + (at as number)] = (bytes[begin + (at as number)] as number) ^ 0x10
        fs.writeFileSync(file, bytes)
        const commits = RECORDS.filter((other) => other !== record)
        expect(readCommits(file)).toMatchObject({
          ...{ commits, damagedBefore: RECORDS[n + 1]?.set ?? 0, isWhole: false, repaired: [] }
        })
      }
      begin += length
    }
  })

  test('of two in a row, of the second the second copy only is left: the first one is missed', () => {
    const whole = written(RECORDS.slice(0, 2))
    const [first, second] = RECORDS.map((record) => encodeCommit(record).length) as [number, number]
    for (const at of [20, first / 2 + 20, first + 20]) whole[at] = (whole[at] as number) ^ 1
    expect(whole.length).toBe(first + second)
    fs.writeFileSync(file, whole)
    expect(readCommits(file)).toMatchObject({ commits: [RECORDS[1]], damagedBefore: 2, isWhole: false })
  })

  test('cut short anywhere: it is there from the moment that its first copy is; the next one follows the last that is', () => {
    const whole = written(RECORDS)
    const before = whole.length - encodeCommit(RECORDS[4] as Commit).length
    const copied = before + (whole.length - before) / 2
    for (let length = before; length < whole.length; length++) {
      fs.writeFileSync(file, whole.subarray(0, length))
      const commits = length < copied ? RECORDS.slice(0, 4) : RECORDS
      expect(readCommits(file), `length ${length}`).toMatchObject({ commits, damagedBefore: 0 })
      const log = new CommitLog(file)
      log.append(commitOf(2 ** 52 + 9))
      log.close()
      expect(readCommits(file)).toMatchObject({
        commits: [...commits, commitOf(2 ** 52 + 9)],
        damagedBefore: 0,
        isWhole: true,
        repaired: []
      })
    }
  })

  test('more parts or a longer label than it takes', () => {
    expect(() => encodeCommit(commitOf(1, { label: 'z'.repeat(129) }))).toThrow('label of 129 bytes')
    const parts = Array.from({ length: 65 }, () => ({ updates: 0, bytes: 0 }))
    expect(() => encodeCommit(commitOf(1, { parts }))).toThrow('65 parts')
  })
})

describe('written anew', () => {
  const LENGTH = encodeCommit(commitOf(1)).length

  test('without what is applied', () => {
    const log = new CommitLog(file, 5 * LENGTH)
    for (let set = 1; set <= 100; set++) {
      log.append(commitOf(set))
      if (set > 3) log.forget(set - 3)
      const { commits, isWhole } = readCommits(file)
      expect(isWhole).toBe(true)
      const last = [set - 2, set - 1, set].filter((n) => n > 0)
      expect(commits.slice(-3).map((commit) => commit.set)).toEqual(last)
      for (const n of [set - 2, set - 1, set]) expect(log.find(n)?.set).toBe(n > 0 ? n : undefined)
      expect(fs.statSync(file).size).toBeLessThanOrEqual(7 * LENGTH)
    }
    log.close()
    expect(readCommits(file).commits.at(-1)).toEqual(commitOf(100))
  })

  test('with what is kept though it is applied; not each time, when that is long', () => {
    const log = new CommitLog(file, 5 * LENGTH)
    let rewritten = 0
    let node = fs.statSync(file).ino
    for (let set = 1; set <= 200; set++) {
      log.append(commitOf(set))
      log.forget(set, set - 20)
      const { commits } = readCommits(file)
      for (let kept = Math.max(1, set - 20); kept <= set; kept++) {
        expect(commits.filter((commit) => commit.set === kept)).toHaveLength(1)
      }
      expect(commits.length).toBeLessThanOrEqual(44)
      const { ino } = fs.statSync(file)
      if (ino !== node) rewritten++
      node = ino
    }
    expect(rewritten).toBeGreaterThan(5)
    expect(rewritten).toBeLessThan(12)
    log.close()
    // What is kept is kept by the next writer too.
    const next = new CommitLog(file)
    expect(next.find(180)).toEqual(commitOf(180))
    next.close()
  })
})

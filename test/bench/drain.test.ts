/** The benchmark of the way to the files runs to its end and checks every byte; how fast it is is not looked at. */
import { existsSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { isHeld } from '../../bench/checks.ts'
import { LastWritten, PIECE_BYTES, PIECE_WORDS } from '../../bench/drain/content.ts'
import { randomPlaces } from '../../bench/drain/places.ts'
import type { DrainResult } from '../../bench/drain.ts'
import { Random } from '../../src/sim/random.ts'
import { type BenchRun, runBench } from './support.ts'

const SET_BYTES = 32 * 2 ** 20
const ROUNDS = 3
// Some seconds of a machine to itself.
const LONGEST_MS = 120_000

describe('npm run bench -- drain --quick', () => {
  let run: BenchRun<{ drain: DrainResult }>

  beforeAll(async () => {
    run = await runBench(['drain', '--quick'], LONGEST_MS)
  }, LONGEST_MS)

  test('measures large updates in turn, and small ones at random with and without overwrites', () => {
    const plans = run.document.drain.rows.map(({ plan }) => plan)
    expect(plans).toEqual([
      { lengthBytes: 65536, places: 'in turn' },
      { lengthBytes: 4096, places: { overwrites: 0 } },
      { lengthBytes: 4096, places: { overwrites: 0.5 } },
      { lengthBytes: 4096, places: { overwrites: 0.9 } }
    ])
  })

  test('measures each set from its end until it is formed, secured, applied, beside a plain write', () => {
    for (const { setBytes, turns, secured, applied, plan } of run.document.drain.rows) {
      expect(setBytes).toBe(SET_BYTES)
      expect(turns).toHaveLength(ROUNDS)
      for (const { formedMs, securedMs, appliedMs, plainMs, updates } of turns) {
        expect(formedMs).toBeGreaterThan(0)
        expect(securedMs).toBeGreaterThanOrEqual(formedMs)
        expect(appliedMs).toBeGreaterThan(securedMs)
        expect(plainMs).toBeGreaterThan(0)
        expect(updates).toBe(SET_BYTES / plan.lengthBytes)
      }
      expect(secured.bytesPerSecond).toBeCloseTo(secured.updatesPerSecond * plan.lengthBytes, 0)
      expect(secured.updatesPerSecond).toBeGreaterThan(applied.updatesPerSecond)
      for (const { timesPlain, timesUnfolded } of [secured, applied]) {
        expect(timesPlain).toBeGreaterThan(0)
        expect(timesUnfolded).toBeGreaterThan(0)
      }
    }
    const [, unfolded] = run.document.drain.rows
    expect(unfolded?.applied.timesUnfolded).toBe(1)
  })

  test('brings the newest bytes of each place to the files, and no others', () => {
    const written = run.document.drain.rows.map(({ turns }) => turns.map(({ writtenBytes }) => writtenBytes))
    const updates = SET_BYTES / 4096
    const newest = [SET_BYTES, SET_BYTES, (updates - Math.round(updates * 0.5)) * 4096]
    newest.push((updates - Math.round(updates * 0.9)) * 4096)
    expect(written).toEqual(newest.map((bytes) => new Array(ROUNDS).fill(bytes)))
  })

  test('checks updates, and every byte of the files; no set was closed early', () => {
    const { checks, ok, drain } = run.document
    expect(checks.filter((check) => !isHeld(check))).toEqual([])
    expect(ok).toBe(true)
    const named = (what: string): object[] => checks.filter(({ name }) => name.endsWith(what))
    expect(named('updates in the sets')).toHaveLength(4)
    expect(named('bytes written to files')).toHaveLength(4)
    expect(named('bytes of files as last written')).toMatchObject([{ expected: 4 * SET_BYTES }])
    expect(drain.setsClosedEarly).toBe(0)
  })

  test('says where the files are, and leaves none of them', () => {
    const [directory = ''] = run.document.drain.where.split(' (')
    expect(run.output).toContain(`files in ${run.document.drain.where}; sets of 32 MiB`)
    expect(existsSync(directory)).toBe(false)
  })

  test('prints what is wanted beside what was found', () => {
    const verdict = '[\\d.]+ \\(wanted: at least [\\d.]+\\) (PASS|missed)'
    expect(run.output).toMatch(new RegExp(`64 KiB in turn, secured by the plain write: ${verdict}`))
    expect(run.output).toMatch(new RegExp(`64 KiB in turn, applied by the plain write: ${verdict}`))
    expect(run.output).toMatch(new RegExp(`90 % overwritten, updates applied by those without overwrites: ${verdict}`))
  })
})

describe('places at random', () => {
  const places = 400
  const updates = 100

  test.each([0, 0.5, 0.9])('so many of them are overwritten within the set: %d', (overwrites) => {
    const order = randomPlaces(new Random(1), places, updates, overwrites)
    expect(order).toHaveLength(updates)
    expect(new Set(order).size).toBe(updates - updates * overwrites)
    expect(Math.max(...order)).toBeLessThan(places)
  })

  test('are others each time, anywhere, in no order', () => {
    const random = new Random(1)
    const [first, second] = [randomPlaces(random, places, updates, 0), randomPlaces(random, places, updates, 0)]
    expect(first).not.toEqual(second)
    expect([...first].sort((a, b) => a - b)).not.toEqual([...first])
    // Each quarter of all places has its share.
    for (let quarter = 0; quarter < 4; quarter++) {
      const here = first.filter((place) => Math.floor((place * 4) / places) === quarter)
      expect(here.length).toBeGreaterThan(updates / 8)
    }
  })
})

describe('what was written last', () => {
  const write = (last: LastWritten, piece: number, pieces = 1): Uint8Array => {
    const words = new Int32Array(pieces * PIECE_WORDS)
    last.write(0, piece * PIECE_BYTES, words)
    return new Uint8Array(words.buffer)
  }

  test('is zeros where nothing was written, else the bytes of the newest write', () => {
    const last = new LastWritten(1, 4 * PIECE_BYTES)
    const long = write(last, 1, 2)
    const short = write(last, 2)
    const expected = new Uint8Array(4 * PIECE_BYTES)
    expected.set(long, PIECE_BYTES)
    expected.set(short, 2 * PIECE_BYTES)
    expect(last.image(0)).toEqual(expected)
  })

  test('no two writes have a word in common at the same place, and none is zeros', () => {
    const last = new LastWritten(1, PIECE_BYTES)
    const writes = Array.from({ length: 20 }, () => new Int32Array(write(last, 0).buffer))
    for (let n = 0; n < PIECE_WORDS; n++) expect(new Set([0, ...writes.map((words) => words[n])]).size).toBe(21)
  })
})

/** The benchmark of a group at rest runs to its end; how little processor time that takes is not looked at. */
import { beforeAll, describe, expect, test } from 'vitest'
import { isHeld } from '../../bench/checks.ts'
import type { IdleResult } from '../../bench/idle.ts'
import { type BenchRun, runBench } from './support.ts'

// Some seconds of a machine to itself.
const LONGEST_MS = 120_000

describe('npm run bench -- idle --quick', () => {
  let run: BenchRun<{ idle: IdleResult[] }>

  beforeAll(async () => {
    run = await runBench(['idle', '--quick'], LONGEST_MS)
  }, LONGEST_MS)

  test('measures groups of 4 and 16 with and without files, beside a process without any', () => {
    const settings = run.document.idle.map(({ components, secondary }) => [components, secondary])
    expect(settings).toEqual([
      [0, 'discard'],
      [4, 'discard'],
      [4, 'files'],
      [16, 'discard'],
      [16, 'files']
    ])
    const [none, ...groups] = run.document.idle
    expect(none?.sets).toBe(0)
    for (const { percent, lowest, highest, sleepsPerSecond, sets } of groups) {
      expect(percent).toBeGreaterThan(0)
      expect(lowest).toBeLessThanOrEqual(percent)
      expect(highest).toBeGreaterThanOrEqual(percent)
      expect(sleepsPerSecond).toBeGreaterThan(0)
      expect(sets).toBeGreaterThan(0)
    }
  })

  test('checks that nothing was lost', () => {
    const { checks, ok } = run.document
    expect(checks.filter((check) => !isHeld(check))).toEqual([])
    expect(ok).toBe(true)
    const updates = checks.filter(({ name }) => name.endsWith('updates in applied sets'))
    expect(updates.map(({ expected }) => expected)).toEqual([32, 32, 32, 32])
  })

  test('prints what is wanted beside what was found', () => {
    for (const secondary of ['discard', 'files']) {
      const verdict = `4 components, ${secondary}, idle: of one core: [\\d.]+ % \\(wanted: less than 2 %\\) (PASS|missed)`
      expect(run.output).toMatch(new RegExp(verdict))
    }
    expect(run.output).not.toContain('16 components, discard, idle: of one core')
  })
})

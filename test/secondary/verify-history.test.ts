/** What verify says of undo parts: each flipped byte, each truncation, one that is missing; and none of it wrongly. */
import fs from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { beginHistoryCheck, judgeHistory } from '../../src/secondary/check-history.ts'
import { readExpected } from '../../src/secondary/check-journal.ts'
import { checkSomeOfSegment } from '../../src/secondary/check-segment.ts'
import { listUndo } from '../../src/secondary/undo.ts'
import type { JournalProblem } from '../../src/types.ts'
import { changesOf, HistoryRig, withoutSyncing } from './history-rig.ts'
import { flipByte } from './support.ts'

withoutSyncing()
vi.setConfig({ testTimeout: 120_000 })

function withSets(last: number): HistoryRig {
  const rig = new HistoryRig({ history: { sets: 3 } })
  for (let set = 1; set <= last; set++) rig.apply(set, changesOf(set))
  return rig
}

/** @param meanwhile  between what is expected and what is found */
function problemsOf(rig: HistoryRig, meanwhile: () => void = () => {}): JournalProblem[] {
  const layout = rig.layout
  const expected = readExpected(layout)
  const checks = beginHistoryCheck(layout)
  meanwhile()
  const done = checks.map((check) => {
    let at = check
    while (!at.isDone) at = checkSomeOfSegment(at, 300)
    return at
  })
  return judgeHistory(layout, expected, done)
}

describe('undo parts', () => {
  test('nothing is wrong with whole ones, with one that is being saved, or with those that are dropped meanwhile', () => {
    const rig = withSets(6)
    expect(listUndo(rig.layout.history).length).toBeGreaterThan(2)
    expect(problemsOf(rig)).toEqual([])
    expect(problemsOf(rig, () => rig.apply(7, changesOf(7)))).toEqual([])
    rig.secure(8, changesOf(8))
    rig.rig.first.announce(8)
    rig.rig.first.beginApply(8)
    rig.rig.first.applySome()
    expect(problemsOf(rig)).toEqual([])
    rig.close()
  })

  test('every flipped byte and every truncation is told, with its set', () => {
    const rig = withSets(4)
    const [undo] = listUndo(rig.layout.history)
    if (undo === undefined) throw new Error('there is no undo')
    const { path, set, component } = undo
    const whole = fs.readFileSync(path)
    const step = Math.max(1, Math.floor(whole.length / 400))
    for (let at = 0; at < whole.length; at += at < 200 ? 1 : step) {
      flipByte(path, at)
      expect(problemsOf(rig), `byte ${at}`).toMatchObject([{ path, set, component }])
      flipByte(path, at)
    }
    for (let length = 0; length < whole.length; length += step) {
      fs.truncateSync(path, length)
      expect(problemsOf(rig), `length ${length}`).toMatchObject([{ path, set, component }])
      fs.writeFileSync(path, whole)
    }
    expect(problemsOf(rig)).toEqual([])
    rig.close()
  })

  test('one that a kept set needs and that is missing is told', () => {
    const rig = withSets(4)
    const undo = listUndo(rig.layout.history).at(-1)
    if (undo === undefined) throw new Error('there is no undo')
    fs.rmSync(undo.path)
    expect(problemsOf(rig)).toMatchObject([{ path: undo.path, set: undo.set, component: undo.component }])
    rig.close()
  })
})

/** A disk without room: at every single write, for a while; nothing is corrupted, and it goes on by itself. */
import { describe, expect, test } from 'vitest'
import { SETS } from './restart-group.ts'
import { type Case, LARGE, RestartRig, SMALL } from './restart-rig.ts'

const CASES: Case[] = [
  [1, 0],
  [2, 0],
  [2, 1]
].flatMap(([components = 0, victim = 0]) => [
  { components, victim, segmentBytes: SMALL, viewAtDeath: false },
  { components, victim, segmentBytes: LARGE, viewAtDeath: true }
])

describe.each(CASES)('component $victim of $components, segments of $segmentBytes bytes', (kind) => {
  test.each([1, 4])('each write finds no room in turn, %i times', (times) => {
    let fullAt = 1
    for (; ; fullAt++) {
      const rig = new RestartRig(kind, Number.POSITIVE_INFINITY)
      rig.files.fullAt = fullAt
      rig.files.fullFor = times
      let waited = 0
      while (!rig.group.turn()) waited += rig.group.board.loadNoSpace(kind.victim)
      const { refused } = rig.files
      if (refused > 0) expect(waited, `write ${fullAt}`).toBeGreaterThan(0)
      expect(rig.group.board.loadNoSpace(kind.victim)).toBe(0)
      rig.expectEnd()
      if (refused < times) break
    }
    // Each set is at least begun, filled, ended; images are written.
    expect(fullAt).toBeGreaterThan(SETS.length * 4)
  })

  test('it dies, or views change, while it waits for room', () => {
    let tried = 0
    for (let fullAt = 1; fullAt < 16; fullAt += 2) {
      for (let later = 1; later < 8; later += 3) {
        const rig = new RestartRig(kind, Number.POSITIVE_INFINITY)
        rig.files.fullAt = fullAt
        rig.files.fullFor = 3
        let waits = 0
        for (let turns = 0; !rig.group.turn(); turns++) {
          if (turns > 3000) throw new Error(`no end: full at write ${fullAt}`)
          if (rig.files.refused > 0 && ++waits === later) rig.files.dieAt = rig.files.points + 1
        }
        rig.expectEnd()
        // There are not so many writes.
        if (rig.files.refused === 0) continue
        expect(rig.files.deaths).toBeGreaterThan(0)
        tried++
      }
    }
    expect(tried).toBeGreaterThan(14)
  })
})

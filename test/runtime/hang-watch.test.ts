/** Whom the hang watch ends on suspicion. Nobody's beat moves here; ticks are counted, not timed. */
import { describe, expect, test } from 'vitest'
import { Board } from '../../src/memory/board.ts'
import { HangWatch } from '../../src/runtime/hang-watch.ts'

const SLOTS = [0, 1, 2, 3]
const TICKS = 8
const PATIENCE = 10

function openWatch(mirrors: number): { watch: HangWatch; board: Board; tick(times: number): number[] } {
  const layout = { slots: SLOTS.length, secondaries: 0, volumes: 1 }
  const board = new Board(Board.allocate(layout), layout)
  const watch = new HangWatch(board, 1000, mirrors)
  for (const slot of SLOTS) watch.began(slot)
  const tick = (times: number): number[] => Array.from({ length: times }, () => watch.tick(SLOTS, () => false)).flat()
  return { watch, board, tick }
}

describe('a component that makes no progress', () => {
  test('is ended after eight ticks, not before, and no more of them than there are mirrors', () => {
    const { tick } = openWatch(1)
    expect(tick(TICKS - 1)).toEqual([])
    expect(tick(1)).toEqual([0])
    expect(tick(TICKS)).toEqual([])
  })

  test('is not ended on suspicion when as many as there are mirrors have died', () => {
    const { watch, tick } = openWatch(2)
    watch.died()
    watch.died()
    expect(tick(TICKS * PATIENCE - 1)).toEqual([])
    // It would be awaited for ever.
    expect(tick(1)).not.toEqual([])
  })

  test('may be ended again when everything is redundant', () => {
    const { watch, tick } = openWatch(1)
    watch.died()
    expect(tick(TICKS)).toEqual([])
    watch.isRedundant()
    expect(tick(1)).toEqual([0])
  })

  test('is ended though others have died if it holds nothing', () => {
    const { watch } = openWatch(1)
    watch.died()
    const ended = Array.from({ length: TICKS }, () => watch.tick(SLOTS, (slot) => slot === 3)).flat()
    expect(ended).toEqual([3])
  })

  test('is not ended when it moves, or sleeps', () => {
    const { watch, board } = openWatch(4)
    const ended: number[] = []
    for (let n = 0; n < 3 * TICKS; n++) {
      board.beat(0)
      board.parking[1]?.prepare()
      ended.push(...watch.tick([0, 1], () => false))
    }
    expect(ended).toEqual([])
  })
})

/** Changes of view, over a real board; the parts of components and secondary components are done by hand. */
import { describe, expect, test } from 'vitest'
import {
  PHASE_REBUILD,
  PHASE_RESTORE,
  PHASE_RUN,
  PHASE_STOP,
  WAY_SECONDARY,
  WAY_SPOOL
} from '../../src/memory/board.ts'
import { SOURCE_CLOSED } from '../../src/memory/source-memory.ts'
import { LossError } from '../../src/protocol/conservation.ts'
import { each } from './harness.ts'
import { ViewStage } from './view-stage.ts'

describe('one change of view', () => {
  test('the words on the board, and what is in place before each of them', () => {
    const stage = new ViewStage()
    expect([stage.board.loadMembers(), stage.board.loadEligible(), stage.board.loadFresh()]).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      []
    ])
    stage.views.failed(1, false)
    expect(stage.said()).toEqual(['stop 1', 'wake'])
    expect(stage.views.stands).toBe(false)
    stage.done(0, 2)
    expect(stage.said()).toEqual([
      'repair 0,2 by 0,2',
      'members 0,2 eligible 0,2 fresh ',
      'publish',
      'rebuild 1',
      'wake',
      'reassigned 1'
    ])
    stage.done(0, 2)
    expect(stage.said()).toEqual(['restore 1', 'wake'])
    // Secondary components have nothing to restore.
    stage.done(0, 2)
    // Whoever misses the phase run must know that this view stood.
    expect(stage.said()).toEqual(['conserved?', 'stood 1', 'run 1', 'wake', 'view 1'])
    expect([stage.views.stands, stage.views.current, stage.board.loadStood()]).toEqual([true, 1, 1])
  })

  test.each([PHASE_STOP, PHASE_REBUILD, PHASE_RESTORE])('phase %i ends when every member is done with it', (phase) => {
    const stage = new ViewStage()
    stage.views.begin()
    stage.goOn(phase)
    stage.said()
    stage.done(0)
    stage.done(2)
    expect(stage.said()).toEqual([])
    stage.done(1)
    expect(stage.phase).toBe((phase + 1) & 3)
  })

  test('the epochs of all ways are odd until the members are known, and nobody waits for who receives', () => {
    const stage = new ViewStage()
    const epochs = () => [stage.board.loadEpoch(WAY_SECONDARY), stage.board.loadEpoch(WAY_SPOOL)]
    expect(epochs()).toEqual([0, 0])
    stage.views.begin()
    expect(epochs()).toEqual([1, 1])
    stage.views.begin()
    expect(epochs()).toEqual([1, 1])
    stage.goOn(PHASE_REBUILD)
    expect(epochs()).toEqual([2, 2])
    stage.views.begin()
    expect(epochs()).toEqual([3, 3])
    stage.goOn()
    expect(epochs()).toEqual([4, 4])
  })

  test('while one comes to its end the others stop, and nothing is final before it is out', () => {
    const stage = new ViewStage({ sourcesAt: [0] })
    stage.views.ends(1)
    expect(stage.said()).toEqual(['stop 1', 'wake'])
    stage.done(0, 2)
    expect(stage.said()).toEqual([])
    stage.views.failed(1, false)
    stage.views.step()
    // The same stop: nobody is asked again.
    expect(stage.said().slice(0, 4)).toEqual([
      'repair 0,2 by 0,2',
      'members 0,2 eligible 0,2 fresh ',
      'publish',
      'rebuild 1'
    ])
  })

  test('one that is out before the others have stopped is not awaited, but they are', () => {
    const stage = new ViewStage()
    stage.views.ends(1)
    stage.views.failed(1, true)
    stage.done(0)
    expect(stage.phase).toBe(PHASE_STOP)
    stage.done(2)
    expect(stage.phase).toBe(PHASE_REBUILD)
    expect(stage.board.loadFresh()).toEqual([1])
  })

  test('two that end: both have to be out', () => {
    const stage = new ViewStage({ mirrors: 0 })
    stage.views.ends(1)
    stage.views.ends(2)
    stage.views.ends(2)
    expect(stage.said()).toEqual(['stop 1', 'wake', 'stop 2', 'wake'])
    stage.done(0)
    stage.views.failed(2, false)
    stage.views.step()
    expect(stage.phase).toBe(PHASE_STOP)
    stage.views.failed(1, false)
    stage.views.step()
    expect(stage.phase).toBe(PHASE_REBUILD)
  })

  test('an end of which the view knows nothing, or of one that is still awaited, changes nothing', () => {
    const stage = new ViewStage()
    stage.views.ends(4)
    expect(stage.said()).toEqual([])
    stage.views.failed(1, true)
    stage.said()
    stage.views.ends(1)
    expect(stage.said()).toEqual([])
    stage.views.ready(1)
    stage.goOn()
    expect(stage.views.stands).toBe(true)
  })

  test('members that were removed are not awaited, nor slots that never had any', () => {
    const stage = new ViewStage({ mirrors: 0 })
    stage.views.failed(0, false)
    stage.views.failed(2, false)
    expect(stage.views.members).toEqual([1])
    for (const phase of [PHASE_STOP, PHASE_REBUILD]) {
      expect(stage.phase).toBe(phase)
      stage.done(1)
    }
    stage.done(1)
    expect(stage.views.stands).toBe(true)
    expect(stage.board.loadMembers()).toEqual([1])
  })

  test('a component that is none of the members may end: no view changes', () => {
    const stage = new ViewStage()
    stage.views.failed(4, false)
    stage.views.failed(4, true)
    expect(stage.said()).toEqual([])
    expect([stage.views.stands, stage.views.current]).toEqual([true, 0])
  })

  test('one that is to be replaced has nothing to stop; then it is awaited, and its part is', () => {
    const stage = new ViewStage()
    stage.views.failed(1, true)
    // What its predecessor said last does not count.
    stage.board.storeViewDone(1, 0 * 4 + PHASE_RUN)
    expect(stage.phase).toBe(PHASE_STOP)
    stage.done(0, 2)
    expect(stage.said()).toContain('members 0,1,2 eligible 0,1,2 fresh 1')
    expect(stage.phase).toBe(PHASE_REBUILD)
    stage.done(0, 2)
    expect(stage.phase).toBe(PHASE_REBUILD)
    // Not even the right word, before it is known that it is there.
    stage.done(1)
    expect(stage.phase).toBe(PHASE_REBUILD)
    stage.board.storeViewDone(1, -1)
    stage.views.ready(1)
    stage.views.step()
    expect(stage.phase).toBe(PHASE_REBUILD)
    stage.done(1)
    expect(stage.phase).toBe(PHASE_RESTORE)
  })

  test('nobody is left: it waits for one that joins', () => {
    const stage = new ViewStage()
    for (const slot of [0, 1, 2]) stage.views.failed(slot, false)
    expect(stage.phase).toBe(PHASE_STOP)
    expect(stage.views.isRedundant).toBe(false)
    stage.views.join(5)
    stage.goOn()
    expect(stage.board.loadMembers()).toEqual([5])
  })
})

describe('a further death', () => {
  const phases = [PHASE_STOP, PHASE_REBUILD, PHASE_RESTORE]

  test.each(phases)(
    'in phase %i begins another view from the start; what was done in the one before does not count',
    (at) => {
      const stage = new ViewStage()
      stage.views.failed(1, false)
      stage.goOn(at)
      stage.done(0)
      stage.said()
      stage.views.failed(2, true)
      expect(stage.said()).toEqual(['stop 2', 'wake'])
      stage.views.ready(2)
      stage.done(2)
      expect(stage.phase).toBe(PHASE_STOP)
      stage.done(0)
      expect(stage.phase).toBe(PHASE_REBUILD)
      stage.goOn()
      expect([stage.views.current, stage.board.loadStood()]).toEqual([2, 2])
    }
  )

  test.each(phases)('in phase %i of one that was fresh in that view: it stays fresh, and is awaited again', (at) => {
    const stage = new ViewStage()
    stage.views.failed(1, true)
    stage.views.ready(1)
    stage.goOn(at)
    stage.views.failed(1, true)
    stage.goOn(PHASE_REBUILD)
    stage.done(0, 1, 2)
    expect(stage.phase).toBe(PHASE_REBUILD)
    expect(stage.board.loadFresh()).toEqual([1])
    stage.views.ready(1)
    stage.goOn()
    expect(stage.views.stands).toBe(true)
  })

  test('the replacement never comes: the others go on without it', () => {
    const stage = new ViewStage()
    stage.views.failed(1, true)
    stage.goOn(PHASE_REBUILD)
    stage.done(0, 2)
    expect(stage.phase).toBe(PHASE_REBUILD)
    stage.views.failed(1, false)
    stage.goOn()
    expect([stage.board.loadMembers(), stage.board.loadFresh()]).toEqual([[0, 2], []])
  })
})

describe('who begins empty', () => {
  test.each([PHASE_STOP, PHASE_REBUILD, PHASE_RESTORE])(
    'stays fresh until a view stood, though it came as far as phase %i',
    (at) => {
      const stage = new ViewStage()
      stage.views.failed(1, true)
      stage.views.ready(1)
      stage.goOn(at)
      stage.views.join(4)
      stage.goOn(at)
      // Another one begins, for whatever reason.
      stage.views.begin()
      stage.goOn(PHASE_REBUILD)
      expect(stage.board.loadFresh()).toEqual([1, 4])
      stage.goOn()
      stage.views.begin()
      stage.goOn(PHASE_REBUILD)
      expect(stage.board.loadFresh()).toEqual([])
    }
  )

  test('one that is out before its first view stood is forgotten, and so is what it was', () => {
    const stage = new ViewStage()
    stage.views.join(4)
    stage.goOn(PHASE_RESTORE)
    stage.views.failed(4, false)
    stage.goOn()
    expect([stage.board.loadMembers(), stage.board.loadFresh()]).toEqual([[0, 1, 2], []])
  })
})

describe('conservation', () => {
  test('while it cannot be said the view does not stand; it is asked again', () => {
    const stage = new ViewStage()
    stage.isConserved = () => false
    stage.views.begin()
    stage.goOn(PHASE_RESTORE)
    stage.said()
    stage.done(0, 1, 2)
    stage.views.step()
    expect(stage.said()).toEqual(['conserved?', 'conserved?'])
    expect([stage.views.stands, stage.board.loadStood()]).toEqual([false, 0])
    stage.isConserved = () => true
    stage.views.step()
    expect(stage.views.stands).toBe(true)
  })

  test('a loss: the view never stands', () => {
    const stage = new ViewStage()
    stage.isConserved = () => {
      throw new LossError([1], [0], 2, 1)
    }
    stage.views.begin()
    stage.goOn(PHASE_RESTORE)
    for (const slot of [0, 1]) stage.done(slot)
    expect(() => stage.done(2)).toThrow(LossError)
    expect(() => stage.views.step()).toThrow(LossError)
    expect([stage.phase, stage.board.loadStood()]).toEqual([PHASE_RESTORE, 0])
  })
})

describe('R15: join and leave', () => {
  test('a join: a member from now on, fresh, with its share of the sources', () => {
    const stage = new ViewStage({ sourcesAt: [0, 0, 1, 1, 2, 2] })
    stage.views.join(4)
    expect(stage.said()).toEqual(['stop 1', 'wake'])
    expect(stage.views.members).toEqual([0, 1, 2, 4])
    stage.goOn(PHASE_REBUILD)
    expect(stage.said()).toContain('members 0,1,2,4 eligible 0,1,2,4 fresh 4')
    expect(stage.attached.filter((slot) => slot === 4)).toHaveLength(1)
    stage.goOn()
  })

  test('slots stay in rising order, whoever comes when', () => {
    const stage = new ViewStage()
    stage.views.failed(1, false)
    stage.views.join(5)
    stage.views.join(1)
    stage.goOn()
    expect(stage.board.loadMembers()).toEqual([0, 1, 2, 5])
    expect(stage.views.members).toEqual([0, 1, 2, 5])
  })

  test('a leave: a member, but nothing is given to it, its sources are others; in the end it goes', () => {
    const stage = new ViewStage({ sourcesAt: [1, 1, 0] })
    stage.views.leave(1)
    expect(stage.views.isLeaving(1)).toBe(true)
    stage.goOn(PHASE_REBUILD)
    expect(stage.said()).toEqual(expect.arrayContaining(['repair 0,1,2 by 0,2', 'members 0,1,2 eligible 0,2 fresh ']))
    expect(stage.attached).toEqual([2, 0, 0])
    stage.goOn()
    stage.views.go(1)
    stage.views.failed(1, false)
    stage.goOn()
    expect([stage.board.loadMembers(), stage.board.loadEligible()]).toEqual([
      [0, 2],
      [0, 2]
    ])
    expect(stage.views.isLeaving(1)).toBe(false)
    // Another one in its slot is not leaving; when it shall go in its turn, it is not on its way out.
    stage.views.join(1)
    stage.goOn()
    expect(stage.board.loadEligible()).toEqual([0, 1, 2])
    stage.views.leave(1)
    stage.views.failed(0, false)
    stage.goOn()
    expect(stage.board.loadEligible()).toEqual([1, 2])
  })

  test('with too few others it is given things like the others, until they are back', () => {
    const stage = new ViewStage()
    stage.views.leave(1)
    stage.goOn()
    stage.views.failed(0, false)
    stage.goOn()
    expect(stage.board.loadEligible()).toEqual([1, 2])
    stage.views.join(3)
    stage.goOn()
    expect(stage.board.loadEligible()).toEqual([2, 3])
    expect(stage.board.loadMembers()).toEqual([1, 2, 3])
  })

  test('not when it is on its way out already: then there are too few', () => {
    const stage = new ViewStage()
    stage.views.leave(1)
    stage.goOn()
    stage.views.go(1)
    stage.views.failed(0, false)
    stage.goOn()
    expect(stage.board.loadEligible()).toEqual([2])
    expect(stage.board.loadMembers()).toEqual([1, 2])
  })

  test('redundant with more members than mirrors', () => {
    const stage = new ViewStage({ mirrors: 2 })
    expect(stage.views.isRedundant).toBe(true)
    stage.views.failed(0, false)
    expect(stage.views.isRedundant).toBe(false)
    stage.views.join(0)
    expect(stage.views.isRedundant).toBe(true)
  })
})

describe('sources', () => {
  test('acknowledged positions are published when everyone has stopped, of closed sources too', () => {
    const stage = new ViewStage({ sourcesAt: [0, 1, 2] })
    for (const [n, { memory }] of stage.sources.entries()) {
      memory.publish(10)
      memory.release(n + 3)
    }
    stage.sources[1]?.memory.storeState(SOURCE_CLOSED)
    stage.views.failed(1, false)
    stage.done(0)
    // Not everyone has stopped: it may still be acknowledged.
    stage.sources[2]?.memory.release(9)
    expect(stage.positions).toEqual([])
    stage.done(2)
    expect(stage.positions).toEqual([
      [
        [0, 3],
        [1, 4],
        [2, 9]
      ]
    ])
  })

  test('those of one that is gone go to others before positions are published; closed ones go nowhere', () => {
    const stage = new ViewStage({ sourcesAt: each(4, () => 1) })
    stage.sources[3]?.memory.storeState(SOURCE_CLOSED)
    stage.views.failed(1, false)
    expect(stage.attached).toEqual([1, 1, 1, 1])
    stage.goOn(PHASE_REBUILD)
    expect(stage.attached).toEqual([0, 2, 0, 1])
    expect(stage.attachedWhenPublished).toEqual([0, 2, 0, 1])
  })

  test('those of one that is replaced stay in its slot', () => {
    const stage = new ViewStage({ sourcesAt: [0, 1, 2] })
    stage.views.failed(1, true)
    stage.views.ready(1)
    stage.goOn()
    expect(stage.attached).toEqual([0, 1, 2])
  })
})

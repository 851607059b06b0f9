import fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { layoutOf } from '../../src/secondary/format.ts'
import { MemoryStore } from '../../src/sim/memory-store.ts'
import { MortalFiles } from './mortal-files.ts'
import { countUpTo, lowOf, RestartGroup, SETS, SIZES, segmentsOf } from './restart-group.ts'
import { type Case, LARGE, MODELS, RestartRig, SMALL } from './restart-rig.ts'
import { errorOf, flipByte } from './support.ts'

const CASES: Case[] = [
  [1, 0],
  [2, 0],
  [2, 1]
].flatMap(([components = 0, victim = 0]) => [
  { components, victim, segmentBytes: SMALL, viewAtDeath: false },
  { components, victim, segmentBytes: LARGE, viewAtDeath: true }
])

describe.each(CASES)(
  'component $victim of $components, segments of $segmentBytes bytes, view at death: $viewAtDeath',
  (kind) => {
    test('dies before every call that changes a file, and before everything it tells', () => {
      let dieAt = 1
      for (; ; dieAt++) {
        const rig = new RestartRig(kind, dieAt)
        rig.group.run()
        rig.expectEnd()
        if (rig.files.deaths === 0) break
      }
      expect(dieAt).toBeGreaterThan(35)
    })

    test('dies within every write', () => {
      let dieAt = 1
      for (; ; dieAt++) {
        const rig = new RestartRig(kind, dieAt, { torn: true })
        rig.group.run()
        rig.expectEnd()
        if (rig.files.deaths === 0) break
      }
      expect(dieAt).toBeGreaterThan(10)
    })

    test('dies again and again, also while it resumes', () => {
      for (let dieAgain = 1; dieAgain <= 24; dieAgain++) {
        const rig = new RestartRig(kind, 1 + ((7 * dieAgain) % 35), { dieAgain })
        rig.group.run()
        expect(rig.files.deaths).toBeGreaterThan(0)
        rig.expectEnd()
      }
    })
  }
)

describe.each([0, 1])('component %i of 2, with history', (victim) => {
  const kind: Case = { components: 2, victim, segmentBytes: LARGE, viewAtDeath: victim === 1, history: true }

  test.each([false, true])(
    'dies at every call that changes a file, within writes: %s; every kept set can be had',
    (torn) => {
      let dieAt = 1
      for (; ; dieAt++) {
        const rig = new RestartRig(kind, dieAt, { torn })
        rig.group.run()
        rig.expectEnd()
        if (rig.files.deaths === 0) break
      }
      expect(dieAt).toBeGreaterThan(torn ? 12 : 50)
    },
    120_000
  )
})

describe('a confirm that was lost', () => {
  const kind = { components: 2, victim: 1, segmentBytes: LARGE, viewAtDeath: true }

  /** Component 1 has journaled its part of the second set, and died before it could say so. */
  function beforeTold(): RestartRig {
    for (let dieAt = 1; ; dieAt++) {
      const rig = new RestartRig(kind, dieAt)
      let word = ''
      rig.files.onDeath = (place) => {
        word = place
      }
      while (rig.files.deaths === 0 && !rig.group.turn());
      if (word === 'journaled' && rig.group.board.loadJournaled(1) === lowOf(1)) return rig
      rig.closeStores()
    }
  }

  test('is told again, and the part that is sent again is passed over; the next set is received', () => {
    const rig = beforeTold()
    rig.group.receivers[1]?.step()
    // At once: while the view changes, before the links have been restarted.
    expect(rig.group.board.loadJournaled(1)).toBe(lowOf(2))
    const sizes = () => segmentsOf(layoutOf(rig.directory).journal, 1).map((file) => fs.statSync(file).size)
    const before = sizes()
    while (rig.group.board.loadCommitted() !== lowOf(2)) rig.group.turn()
    expect(sizes()).toEqual(before)
    rig.group.run()
    rig.expectEnd()
  })
})

describe('what a dead component has left is damaged', () => {
  test.each([0, 1])('component %i: noticed, and nothing is cut off', (victim) => {
    const rig = new RestartRig({ components: 2, victim, segmentBytes: LARGE, viewAtDeath: false }, 1000)
    while (rig.group.board.loadJournaled(victim) !== lowOf(2)) rig.group.turn()
    rig.closeStores()
    const segment = segmentsOf(layoutOf(rig.directory).journal, victim)[0] as string
    const { size } = fs.statSync(segment)
    for (const position of [60, size >> 1, size - 10]) {
      flipByte(segment, position)
      const error = errorOf(() => rig.group.start(victim, true))
      expect(error, `byte ${position}`).toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { component: victim } })
      expect(fs.statSync(segment).size).toBe(size)
      flipByte(segment, position)
    }
    rig.group.start(victim, true)
    rig.closeStores()
  })
})

describe('in memory', () => {
  test.each([
    [1, 0],
    [2, 0],
    [2, 1]
  ])('of %i components, component %i dies before everything it tells', (components, victim) => {
    let dieAt = 1
    for (; ; dieAt++) {
      const files = new MortalFiles(victim)
      files.dieAt = dieAt
      const images = SIZES.map((size) => new Uint8Array(size))
      const journaled: string[] = []
      const order: string[] = []
      const shared = {
        images,
        journaled: (component: number, set: number) => journaled.push(`${component} ${countUpTo(set)}`),
        committed: (set: number) => order.push(`commit ${countUpTo(set)}`),
        announced: () => {},
        beginApply: () => files.point(),
        marked: (set: number) => {
          order.push(`mark ${countUpTo(set)}`)
          for (const [n, wanted] of (MODELS[countUpTo(set)] as Buffer[]).entries()) {
            expect(Buffer.compare(images[n] as Uint8Array, wanted), `volume ${n} after set ${set}`).toBe(0)
          }
        }
      }
      const hooks = {
        makeStore: (n: number) => new DyingStore(n, shared, files),
        telling: () => {},
        died: () => {},
        resumed: () => {}
      }
      new RestartGroup(components, files, hooks, dieAt % 2 === 0).run()
      expect(journaled.length).toBe(components * SETS.length)
      expect(new Set(journaled).size).toBe(journaled.length)
      for (const what of ['commit', 'mark']) {
        expect(order.filter((step) => step.startsWith(what))).toEqual(SETS.map((_, n) => `${what} ${n + 1}`))
      }
      if (files.deaths === 0) break
    }
    expect(dieAt).toBeGreaterThan(35)
  })

  /** Dies in the middle of applying, too. */
  class DyingStore extends MemoryStore {
    private readonly files: MortalFiles

    constructor(index: number, shared: ConstructorParameters<typeof MemoryStore>[1], files: MortalFiles) {
      super(index, shared)
      this.files = files
    }

    override applySome(): boolean {
      this.files.point()
      return super.applySome()
    }
  }
})

/** The life of sets: R9, R11, R12, R13, R19, and figure 4. */
import { describe, expect, test } from 'vitest'
import { TidemarkError } from '../../src/errors.ts'
import { WAY_SECONDARY } from '../../src/memory/board.ts'
import { SET_WINDOW, SOURCE_CLOSING } from '../../src/memory/source-memory.ts'
import { each, START_MS, TestGroup, type TestSource } from './harness.ts'

const ALL_STATES = ['formed', 'secured', 'applied']

/** Everybody but the secondary components, until nobody has anything to do. */
function withoutSecondary(group: TestGroup): void {
  for (let turns = 0; turns < 20; turns++) {
    group.settle()
    group.control()
  }
}

function noSpace(): TidemarkError {
  return new TidemarkError('TIDEMARK_NO_SPACE', 'the disk is full')
}

function askToClose(group: TestGroup): void {
  group.coordinator.closeSet(undefined)
  group.control()
}

describe('R9: formation periods', () => {
  test('a set ends when its period does, and not before', () => {
    const group = new TestGroup({ periodMs: 50 })
    group.nowMs += 49
    group.run()
    expect(group.coordinator.formingSet).toBe(1)
    group.nowMs += 1
    group.run()
    expect(group.coordinator.formingSet).toBe(2)
    expect(group.reports[0]).toMatchObject({ set: 1, reason: 'period', label: undefined, endedAtMs: START_MS + 50 })
  })

  test.each([1, 250, 86_400_000])(
    'periods of %i ms: the next one is counted from the end of the one before',
    (periodMs) => {
      const group = new TestGroup({ periodMs })
      for (let n = 1; n <= 3; n++) {
        group.nowMs = START_MS + n * periodMs
        group.run()
        expect(group.coordinator.formingSet).toBe(n + 1)
        group.control()
        expect(group.coordinator.step(group.nowMs, group.wallMs)).toBe(periodMs)
        expect(group.coordinator.step(group.nowMs + periodMs / 2, group.wallMs)).toBe(periodMs / 2)
      }
    }
  )

  test('closed on demand, with a label', () => {
    const group = new TestGroup({ periodMs: 1000, secondaries: 1 })
    group.nowMs += 10
    expect(group.closeSet('before the upgrade')).toBe(1)
    expect(group.reports[0]).toMatchObject({ set: 1, label: 'before the upgrade', reason: 'asked', state: 'formed' })
    expect(group.closeSet()).toBe(2)
    expect(group.reports.find((report) => report.set === 2)).toMatchObject({ label: undefined, reason: 'asked' })
    // The period began anew when it was closed.
    group.nowMs += 999
    group.run()
    expect(group.coordinator.formingSet).toBe(3)
  })

  test('a named set is committed with its name, also without updates; one without a name and updates is not', () => {
    const group = new TestGroup({ secondaries: 2 })
    group.closeSet('idle')
    group.closeSet()
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.settle()
    group.closeSet('with-updates')
    expect(group.committed).toEqual([
      { set: 1, label: 'idle' },
      { set: 3, label: 'with-updates' }
    ])
    expect(group.journaled.filter(({ set }) => set === 1).map(({ updates }) => updates)).toEqual([[], []])
    for (const set of [1, 2, 3]) expect(group.statesOf(set)).toEqual(ALL_STATES)
    expect(group.board.loadMarked()).toBe(3)
  })

  test('asked for while another set is closing: waits for it, keeps the label', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.step(0)
    askToClose(group)
    expect(group.coordinator.closeSet('second')).toBe(2)
    group.control()
    expect(group.coordinator.formingSet).toBe(2)
    expect(group.coordinator.hasCloseAsked).toBe(true)
    group.run()
    expect(group.coordinator.formingSet).toBe(3)
    expect(group.reports.filter((report) => report.label === 'second').map((report) => report.set)).toEqual([2, 2, 2])
  })

  test('set identifier: an update issued after another was acknowledged is never in an earlier set', () => {
    const group = new TestGroup()
    const [early, late] = [group.openSource(0), group.openSource(1)]
    let acknowledgedIn = 0
    // Component 1 is about to load the position of its source when, elsewhere, a whole set passes.
    late.memory.beforePositionIsLoaded = () => {
      askToClose(group)
      const ordinal = early.post({ volume: 1 })
      group.step(0, 2, 0)
      acknowledgedIn = early.receipt(ordinal).set
      late.post({ volume: 1 })
    }
    group.step(1)
    expect(acknowledgedIn).toBe(2)
    expect(group.held(1).filter((held) => held.mirroredFrom === null)).toMatchObject([{ set: 2 }])
    group.settle()
    expect(late.receipt(0).set).toBe(2)
  })
})

describe('figure 4: forming a set', () => {
  test('quiet only when everything taken with an identifier up to it is acknowledged', () => {
    const group = new TestGroup()
    const source = group.openSource(1)
    source.post({ volume: 0 })
    group.step(1)
    askToClose(group)
    expect(group.coordinator.formingSet).toBe(2)
    group.step(0, 1, 2)
    // Component 1 has noticed the answer in this turn and is quiet now.
    expect(each(3, (slot) => group.board.loadQuiet(slot))).toEqual([1, 1, 1])

    group.run()
    source.post({ volume: 1 })
    group.step(1)
    askToClose(group)
    // The responsible one of volume 1 in set 2 is component 2: it does not come to answer.
    group.step(0, 1, 0, 1)
    expect(each(3, (slot) => group.board.loadQuiet(slot))).toEqual([2, 1, 1])
    group.control()
    expect(group.board.loadSealed()).toBe(1)
    group.step(2, 1)
    expect(each(3, (slot) => group.board.loadQuiet(slot))).toEqual([2, 2, 2])
  })

  test('sealed when all are quiet, formed when all have handed in their manifests', () => {
    const group = new TestGroup({ secondaries: 1 })
    const source = group.openSource(1)
    source.post({ volume: 0 })
    group.step(1)
    askToClose(group)
    expect(group.board.loadSealed()).toBe(0)
    group.step(0, 1)
    group.control()
    expect(group.board.loadSealed()).toBe(0)
    group.step(2)
    group.control()
    expect(group.board.loadSealed()).toBe(1)
    expect(group.statesOf(1)).toEqual([])
    group.step(0, 1)
    group.control()
    expect(group.statesOf(1)).toEqual([])
    expect(group.coordinator.formedSet).toBe(0)
    group.step(2)
    group.control()
    expect(group.statesOf(1)).toEqual(['formed'])
    expect(group.coordinator.formedSet).toBe(1)
  })

  test('nobody stops taking while a set closes', () => {
    const group = new TestGroup()
    const source = group.openSource(1)
    source.post({ volume: 0 })
    group.step(1)
    askToClose(group)
    source.post({ volume: 0 })
    group.step(1)
    expect(group.held(1).map((held) => held.set)).toEqual([1, 2])
  })

  test('a component that waits for room does not hold up the set, since what waits was not taken', () => {
    const group = new TestGroup({ chunks: 6 })
    const source = group.openSource(0)
    while (source.post({ volume: 0, bytes: 300 }) >= 0) {}
    group.settle()
    expect(group.component(0).taker.waits).toBeGreaterThan(0)
    group.run()
    expect(group.statesOf(1)).toEqual(ALL_STATES)
  })

  test('at most a window of sets is unsecured: then the forming set stays open until the oldest is secured', () => {
    const group = new TestGroup({ secondaries: 1, periodMs: 10 })
    const source = group.openSource(0)
    const ordinals: number[] = []
    for (let n = 0; n < 40; n++) {
      ordinals.push(source.post({ volume: n % 3, fill: n + 1 }))
      group.nowMs += 10
      withoutSecondary(group)
    }
    const stopped = group.coordinator.formingSet
    expect(stopped).toBe(SET_WINDOW)
    expect(group.coordinator.securedSet).toBe(0)
    // Taking goes on meanwhile: all in the set that stays open.
    expect(source.acknowledged).toBe(40)
    expect(new Set(ordinals.slice(stopped - 1).map((ordinal) => source.receipt(ordinal).set))).toEqual(
      new Set([stopped])
    )
    group.run()
    expect(group.coordinator.securedSet).toBeGreaterThanOrEqual(stopped)
    group.nowMs += 10
    group.run()
    expect(group.coordinator.appliedSet).toBe(group.coordinator.formingSet - 1)
    expect(group.images.map((image) => image[0])).toEqual([40, 38, 39])
  })

  test('the place of a set in the window is used again only when all components have discarded that set', () => {
    const group = new TestGroup({ secondaries: 1 })
    group.openSource(0).post({ volume: 0 })
    group.settle()
    // The first one holds an update, those behind it nothing: they are secured all at once, without the components.
    for (let set = 1; set < SET_WINDOW; set++) {
      askToClose(group)
      withoutSecondary(group)
    }
    while (group.drain() || group.rung) group.control()
    expect(group.coordinator.appliedSet).toBe(SET_WINDOW - 1)
    askToClose(group)
    group.step(0, 1)
    group.control()
    expect(group.coordinator.formingSet).toBe(SET_WINDOW)
    group.step(2)
    group.control()
    expect(group.coordinator.formingSet).toBe(SET_WINDOW + 1)
  })

  test('closed early when memory runs short: writers that never pause are paced, nothing is lost', () => {
    const group = new TestGroup({ secondaries: 2, chunks: 6 })
    const sources = each(3, (slot) => group.openSource(slot, 4096))
    const posted = new Array<number>(3).fill(0)
    for (let round = 0; round < 300; round++) {
      for (const source of sources) {
        const n = posted[source.id] as number
        const post = { volume: source.id, offset: (n % 8) * 100, bytes: 100, fill: (n % 250) + 1 }
        if (source.post(post) >= 0) posted[source.id] = n + 1
      }
      group.run()
    }
    expect(group.coordinator.closedEarly).toBeGreaterThan(20)
    const reasons = group.reports.filter((report) => report.state === 'formed').map((report) => report.reason)
    expect(new Set(reasons)).toEqual(new Set(['memory']))
    group.closeSet()
    expect(sources.map((source) => source.acknowledged)).toEqual(posted)
    for (const [volume, image] of group.images.entries()) {
      const count = posted[volume] as number
      for (let place = 0; place < 8; place++) {
        const last = count - 1 - ((count - 1 - place) % 8)
        expect(image[place * 100 + 99]).toBe((last % 250) + 1)
      }
    }
  })

  test('held open: neither its period nor a request ends it; when memory runs short it ends all the same', () => {
    const group = new TestGroup({ periodMs: 50, secondaries: 1, chunks: 6 })
    group.coordinator.closingHeld = true
    group.nowMs += 200
    askToClose(group)
    group.run()
    expect(group.coordinator.formingSet).toBe(1)
    const source = group.openSource(0)
    for (let round = 0; round < 40; round++) {
      while (source.post({ volume: 0, bytes: 300 }) >= 0) {}
      group.run()
    }
    expect(group.coordinator.closedEarly).toBeGreaterThan(1)
    expect(new Set(group.reports.map(({ reason }) => reason))).toEqual(new Set(['memory']))
    // What was asked meanwhile is done as soon as it is released.
    const before = group.coordinator.formingSet
    askToClose(group)
    expect(group.coordinator.formingSet).toBe(before)
    group.coordinator.closingHeld = false
    group.run()
    expect(group.coordinator.formingSet).toBe(before + 1)
  })

  test('not closed early while an earlier set is still to be secured: it will give memory back', () => {
    const group = new TestGroup({ secondaries: 1, chunks: 6 })
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.settle()
    askToClose(group)
    while (source.post({ volume: 0, bytes: 300 }) >= 0) {}
    withoutSecondary(group)
    expect(group.component(0).taker.waits).toBeGreaterThan(0)
    expect(group.coordinator.formingSet).toBe(2)
    group.run()
    expect(group.coordinator.closedEarly).toBeGreaterThan(0)
  })
})

describe('R11: transfer', () => {
  test('each component transfers the updates of its own volumes, each update once, to the secondary of the volume', () => {
    const group = new TestGroup({ volumes: 6, secondaries: 2 })
    const sources = each(3, (slot) => group.openSource(slot))
    for (const [n, source] of sources.entries()) {
      for (let volume = 0; volume < 6; volume++) source.post({ volume, offset: n * 8 })
    }
    group.settle()
    askToClose(group)
    withoutSecondary(group)
    const sent = group.drains.map((row) => row.map((link) => link.loadPublished()))
    // Epoch, begin, end, and of each own volume that belongs there three updates: volumes v and v + 3 go to different ones.
    expect(sent).toEqual(each(3, () => [6, 6]))
    group.run()
    const names = group.journaled.flatMap(({ updates }) => updates.map((u) => `${u.source}:${u.position}`))
    expect(names).toHaveLength(18)
    expect(new Set(names).size).toBe(18)
  })

  test('an update that a later one of the set overwrites is not sent', () => {
    const group = new TestGroup({ secondaries: 1 })
    const source = group.openSource(0)
    for (const fill of [1, 2, 3]) source.post({ volume: 0, fill })
    group.settle()
    askToClose(group)
    source.post({ volume: 0, fill: 4 })
    group.settle()
    group.run()
    askToClose(group)
    group.run()
    const names = group.journaled.map(({ updates }) => updates.map(({ position }) => position))
    expect(names.flat()).toEqual([2, 3])
  })

  test('the next set is transferred only after the confirm of the one before', () => {
    const group = new TestGroup({ secondaries: 2 })
    const source = group.openSource(0)
    for (const set of [1, 2]) {
      source.post({ volume: 0, fill: set })
      group.settle()
      askToClose(group)
      withoutSecondary(group)
    }
    expect([group.statesOf(1), group.statesOf(2)]).toEqual([['formed'], ['formed']])
    expect(group.board.loadTransfer()).toBe(1)
    // Journaled by one, by both, committed: the next one goes only then.
    group.receivers[0]?.step()
    withoutSecondary(group)
    expect([group.board.loadJournaled(0), group.board.loadCommit(), group.board.loadTransfer()]).toEqual([1, 0, 1])
    group.receivers[1]?.step()
    withoutSecondary(group)
    expect([group.board.loadCommit(), group.board.loadCommitted(), group.board.loadTransfer()]).toEqual([1, 0, 1])
    expect(group.coordinator.securedSet).toBe(0)
    group.receivers[0]?.step()
    withoutSecondary(group)
    expect(group.board.loadTransfer()).toBe(2)
    expect(group.coordinator.securedSet).toBe(1)
  })

  /** Sets 1 and on are formed, none is sent yet; each holds one update. */
  function formSets(group: TestGroup, sets: number): void {
    const source = group.openSource(0)
    for (let set = 1; set <= sets; set++) {
      source.post({ volume: 0, fill: set })
      group.settle()
      askToClose(group)
      withoutSecondary(group)
    }
  }

  /** The secondary component has received a set, the next one is on its way, and there is no room to journal the first, once. */
  function refuseFirst(group: TestGroup): void {
    group.whileSyncing = () => {
      group.whileSyncing = undefined
      withoutSecondary(group)
      expect(group.board.loadTransfer()).toBe(2)
      throw noSpace()
    }
    group.receivers[0]?.step()
    expect(group.board.loadTransfer()).toBe(2)
    expect(group.board.loadJournaled(0)).toBe(0)
    group.clockMicroseconds += 10_000_000
  }

  test("'mirrored': the next set is transferred as soon as all have received the one before, secured it is when it is journaled", () => {
    const group = new TestGroup({ secondaries: 2, confirm: 'mirrored' })
    formSets(group, 3)
    expect(group.board.loadTransfer()).toBe(1)
    const seen: unknown[] = []
    group.whileSyncing = () => {
      withoutSecondary(group)
      const { board, coordinator } = group
      seen.push([board.loadJournaled(0), board.loadJournaled(1), board.loadTransfer(), coordinator.securedSet])
    }
    group.receivers[0]?.step()
    group.receivers[1]?.step()
    // While the first one syncs, the second one has not received the set; while the second one does, both have.
    expect(seen).toEqual([
      [0, 0, 1, 0],
      [1, 0, 2, 0]
    ])
    group.run()
    expect(group.committed.map(({ set }) => set)).toEqual([1, 2, 3])
    expect(group.coordinator.appliedSet).toBe(3)
    expect([...(group.images[0] as Uint8Array).subarray(0, 8)]).toEqual(each(8, () => 3))
  })

  test("'mirrored': a set that holds nothing is not secured before the one ahead of it", () => {
    const group = new TestGroup({ secondaries: 1, confirm: 'mirrored' })
    formSets(group, 1)
    askToClose(group)
    group.whileSyncing = () => {
      withoutSecondary(group)
      expect(group.statesOf(2)).toEqual(['formed'])
    }
    group.run()
    expect(group.reports.filter(({ state }) => state === 'secured').map(({ set }) => set)).toEqual([1, 2])
  })

  test("'mirrored': two sets are journaled while the first is looked at: it is committed first all the same", () => {
    const group = new TestGroup({ secondaries: 1, confirm: 'mirrored' })
    formSets(group, 2)
    refuseFirst(group)
    group.board.afterJournaledIsLoaded = () => {
      while (group.drain()) {}
    }
    group.control()
    expect([group.board.loadJournaled(0), group.board.loadCommit()]).toEqual([2, 1])
    group.run()
    expect(group.committed.map(({ set }) => set)).toEqual([1, 2])
  })

  test("'mirrored': who begins again sends both sets that were on their way, the older one first", () => {
    const group = new TestGroup({ secondaries: 1, confirm: 'mirrored' })
    formSets(group, 2)
    refuseFirst(group)
    group.board.storeEpoch(WAY_SECONDARY, group.board.loadEpoch(WAY_SECONDARY) + 2)
    group.run()
    expect(group.journaled.map(({ set, updates }) => [set, updates.length])).toEqual([
      [1, 1],
      [2, 1]
    ])
    expect(group.coordinator.appliedSet).toBe(2)
  })

  test('a set larger than the links to the secondary passes through them', () => {
    const group = new TestGroup({ secondaries: 1, linkCapacity: 32, chunks: 256 })
    const source = group.openSource(0)
    for (let n = 0; n < 300; n++) {
      expect(source.post({ volume: 0, offset: n * 8, fill: (n % 250) + 1 })).toBe(n)
      group.settle()
    }
    group.closeSet()
    expect(group.journaled.filter(({ set }) => set === 1).flatMap(({ updates }) => updates)).toHaveLength(300)
    expect([...(group.images[0] as Uint8Array).subarray(0, 2400)]).toEqual(each(2400, (at) => ((at >>> 3) % 250) + 1))
  })

  test("'discard': without a secondary, sets are secured as soon as they are formed", () => {
    const group = new TestGroup()
    group.openSource(0).post({ volume: 0 })
    group.settle()
    group.closeSet()
    expect(group.statesOf(1)).toEqual(ALL_STATES)
  })
})

describe('R12: the secondary', () => {
  /** Two sets on their way: the first is being applied update by update, of the second all is acknowledged. */
  function twoSets(): { group: TestGroup; source: TestSource } {
    const group = new TestGroup({ secondaries: 2, volumes: 4, chunks: 128 })
    const source = group.openSource(0)
    for (const set of [1, 2]) {
      for (let n = 0; n < 20; n++) source.post({ volume: n % 4, offset: n * 8, fill: set })
      group.settle()
      askToClose(group)
      withoutSecondary(group)
    }
    return { group, source }
  }

  test('receives the next set while it applies this one, and has all of one in place before any of the next', () => {
    const { group } = twoSets()
    let receivedMeanwhile = false
    let turns = 0
    while (group.coordinator.appliedSet < 2) {
      if (++turns > 1000) throw new Error('the sets are not applied')
      group.drain()
      group.settle()
      const all = group.images.flatMap((image) => [...image])
      const [ones, twos] = [1, 2].map((fill) => all.filter((byte) => byte === fill).length)
      // Set 2 writes the same ranges: a byte of it is seen only when all of set 1 was there, 160 bytes of it.
      if ((twos as number) > 0) {
        expect((ones as number) + (twos as number)).toBe(160)
        expect(group.coordinator.appliedSet).toBeGreaterThanOrEqual(1)
      }
      if (group.coordinator.applyingSet === 1 && group.board.loadJournaled(0) === 2) receivedMeanwhile = true
      group.control()
    }
    expect(receivedMeanwhile).toBe(true)
  })

  test('sets are applied in order, none left out, each reported formed, secured and applied once', () => {
    const group = new TestGroup({ secondaries: 2 })
    const source = group.openSource(2)
    for (let n = 0; n < 25; n++) {
      if (n % 3 !== 0) source.post({ volume: n % 3, fill: n + 1 })
      group.settle()
      askToClose(group)
      if (n % 2 === 0) group.run()
    }
    group.run()
    for (let set = 1; set <= 25; set++) expect(group.statesOf(set)).toEqual(ALL_STATES)
    for (const state of ALL_STATES) {
      const order = group.reports.filter((report) => report.state === state).map((report) => report.set)
      expect(order).toEqual(each(25, (n) => n + 1))
    }
  })

  test('while apply is held, sets are received and secured but the volumes stay at one set', () => {
    const { group } = twoSets()
    group.coordinator.applyHeld = true
    group.run()
    expect([group.coordinator.securedSet, group.coordinator.appliedSet]).toEqual([2, 0])
    expect(group.images.every((image) => image.every((byte) => byte === 0))).toBe(true)
    group.coordinator.applyHeld = false
    group.run()
    expect(group.coordinator.appliedSet).toBe(2)
    expect(group.reports.find((report) => report.set === 2 && report.state === 'applied')?.writtenBytes).toBe(160)
  })
})

describe('R13: mirrors are discarded when, and only when, the set is secured', () => {
  test.each([1, 2])('by taker, responsible one and mirrors (%i mirrors)', (mirrors) => {
    const group = new TestGroup({ members: 4, mirrors, volumes: 4, secondaries: 2, chunks: 128 })
    const source = group.openSource(0)
    // One of them it takes as the responsible one, the other for another component.
    source.post({ volume: 0 })
    source.post({ volume: 2 })
    group.settle()
    const counts = (): number[] => group.components.map((component) => component.held.heldUpdates)
    const listed = (): number[] => group.components.map((_, slot) => group.held(slot).length)
    const before = counts()
    expect(before.reduce((sum, count) => sum + count, 0)).toBe(2 * (mirrors + 1))
    expect(listed()).toEqual(before)
    askToClose(group)
    // Closing, sealed, formed, sent, journaled by one, by both, and not yet committed: all of it is held.
    withoutSecondary(group)
    expect(counts()).toEqual(before)
    for (const receiver of group.receivers) {
      receiver.step()
      withoutSecondary(group)
      expect(group.coordinator.securedSet).toBe(0)
      expect(counts()).toEqual(before)
      expect(listed()).toEqual(before)
    }
    expect(group.board.loadCommit()).toBe(1)
    group.receivers[0]?.step()
    group.control()
    expect(group.coordinator.securedSet).toBe(1)
    // Told; each discards in its own turn.
    for (let slot = 0; slot < 4; slot++) {
      expect(group.component(slot).held.heldUpdates).toBe(before[slot])
      group.step(slot)
      expect(group.component(slot).held.heldUpdates).toBe(0)
      expect(group.held(slot)).toEqual([])
      expect(group.board.loadDiscarded(slot)).toBe(1)
    }
  })

  test('only that set: what is in the next one stays', () => {
    const group = new TestGroup({ secondaries: 1 })
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.settle()
    askToClose(group)
    source.post({ volume: 0 })
    group.run()
    expect(group.coordinator.securedSet).toBe(1)
    expect(group.components.map((component) => component.held.heldUpdates)).toEqual([1, 1, 0])
    expect(group.held(1).map((held) => held.set)).toEqual([2])
  })

  test('the memory is there again: a small arena carries any number of sets', () => {
    const group = new TestGroup({ secondaries: 1, chunks: 6 })
    const source = group.openSource(0)
    for (let n = 0; n < 200; n++) {
      const ordinal = source.post({ volume: n % 3, bytes: 200 })
      group.settle()
      expect(source.receipt(ordinal).holders).toHaveLength(2)
      group.closeSet()
    }
    expect(group.components.map((component) => component.held.heldBytes)).toEqual([0, 0, 0])
    expect(group.coordinator.closedEarly).toBe(0)
  })
})

describe('R19: consistency time', () => {
  test('advances when nobody writes: empty sets are formed, secured and applied', () => {
    const group = new TestGroup({ secondaries: 2, periodMs: 20 })
    for (let n = 1; n <= 5; n++) {
      group.nowMs += 20
      group.wallMs += 20
      group.run()
    }
    const applied = group.reports.filter((report) => report.state === 'applied')
    expect(applied.map(({ set, updates, bytes, consistencyTime }) => [set, updates, bytes, consistencyTime])).toEqual(
      each(5, (n) => [n + 1, 0, 0, START_MS + 20 * (n + 1)])
    )
    // Nothing was sent for them.
    expect(group.journaled).toEqual([])
  })

  test('is the instant at which the period ended, also when forming and applying take long', () => {
    const group = new TestGroup({ secondaries: 1 })
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.settle()
    group.wallMs += 500
    askToClose(group)
    group.wallMs += 10_000
    group.run()
    expect(group.reports.filter((report) => report.set === 1).map((report) => report.consistencyTime)).toEqual(
      each(3, () => START_MS + 500)
    )
  })

  test('never decreases when the wall clock steps back', () => {
    const group = new TestGroup({ secondaries: 1 })
    const times: number[] = []
    for (const wall of [START_MS + 100, START_MS - 5000, START_MS + 50, START_MS + 200]) {
      group.wallMs = wall
      const set = group.closeSet()
      times.push(group.reports.find((report) => report.set === set)?.consistencyTime ?? 0)
    }
    expect(times).toEqual([START_MS + 100, START_MS + 100, START_MS + 100, START_MS + 200])
  })

  test('an empty set between others waits for those before it', () => {
    const group = new TestGroup({ secondaries: 1 })
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.settle()
    askToClose(group)
    withoutSecondary(group)
    askToClose(group)
    withoutSecondary(group)
    expect(group.statesOf(2)).toEqual(['formed'])
    expect(group.coordinator.appliedSet).toBe(0)
    group.run()
    expect(group.coordinator.appliedSet).toBe(2)
  })
})

test('a source that closes is let go when all of it is acknowledged, not before', () => {
  const group = new TestGroup()
  const source = group.openSource(0)
  source.post({ volume: 1 })
  source.memory.storeState(SOURCE_CLOSING)
  group.step(0)
  expect(group.component(0).finishedSource()).toBeUndefined()
  group.settle()
  expect(group.component(0).finishedSource()).toBe(source.intake)
  group.component(0).detach(source.intake)
  expect(group.component(0).intakes).toEqual([])
})

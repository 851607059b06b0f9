/** Figures 3A and 3B, block by block, and what follows for receipts (SYSTEM.md R1-R4, R7). */
import { describe, expect, test } from 'vitest'
import { STAT_REJECTED } from '../../src/memory/board.ts'
import { type Link, REJECTED } from '../../src/memory/link.ts'
import {
  FLAG_MIRROR,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME,
  recordBytesFor
} from '../../src/memory/record.ts'
import type { Lane } from '../../src/protocol/lane.ts'
import type { OutLink } from '../../src/protocol/out-link.ts'
import { ProtocolError } from '../../src/protocol/setting.ts'
import { each, TestGroup } from './harness.ts'

/** With round robin and turn 0, in the first set volume v belongs to component v % members. */
const FIRST_SET = 1

describe('R2: received from a primary source by the responsible component', () => {
  test('blocks 304-306: it accepts the update and gives the sequence identifiers of the volume', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.post({ volume: 0, offset: 100, bytes: 9 })
    source.post({ volume: 0, offset: 200, bytes: 8 })
    group.step(0)
    const common = { volume: 0, set: FIRST_SET, responsible: 0, mirroredTo: [1], mirroredFrom: null }
    expect(group.held(0)).toEqual([
      { ...common, sequence: 1, offset: 100, length: 9 },
      { ...common, sequence: 2, offset: 200, length: 8 }
    ])
    expect(group.component(0).taker.taken).toBe(2)
  })

  test('block 308: it mirrors update and identifier to a component that is not responsible; not acknowledged before that one holds it', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    source.post({ volume: 0 })
    group.step(0, 0, 0)
    expect(group.held(1)).toEqual([])
    expect(source.acknowledged).toBe(0)
    group.step(1)
    expect(group.held(1)).toMatchObject([{ volume: 0, sequence: 1, mirroredFrom: 0, mirroredTo: [], responsible: 0 }])
    expect(source.acknowledged).toBe(0)
    group.step(0)
    expect(source.acknowledged).toBe(1)
  })

  test('block 310: it keeps track of to whom it mirrored, and the receipt names both holders', () => {
    const group = new TestGroup()
    const source = group.openSource(0)
    const ordinal = source.post({ volume: 0 })
    group.settle()
    expect(group.held(0)[0]?.mirroredTo).toEqual([1])
    expect(group.held(2)).toEqual([])
    expect(source.receipt(ordinal)).toEqual({ set: FIRST_SET, sequence: 1, holders: [0, 1] })
  })

  test.each([2, 3])('blocks 306-310 with %i mirrors: each of them must hold it first', (mirrors) => {
    const group = new TestGroup({ members: 5, mirrors, volumes: 5, chunks: 256 })
    const source = group.openSource(1)
    const ordinal = source.post({ volume: 1 })
    const holders = each(mirrors, (n) => n + 2)
    group.step(1)
    expect(group.held(1)).toMatchObject([{ sequence: 1, mirroredTo: holders, mirroredFrom: null }])
    for (const holder of holders) {
      expect(source.acknowledged).toBe(0)
      group.step(holder, 1)
      expect(group.held(holder)).toMatchObject([{ sequence: 1, mirroredFrom: 1 }])
    }
    expect(source.receipt(ordinal)).toEqual({ set: FIRST_SET, sequence: 1, holders: [1, ...holders] })
  })
})

describe('R3: received from a primary source by another component', () => {
  test('blocks 312-314: it accepts the update without an identifier and mirrors it to the responsible one', () => {
    const group = new TestGroup()
    const source = group.openSource(2)
    source.post({ volume: 1, offset: 64, bytes: 16 })
    group.step(2)
    expect(group.held(2)).toEqual([
      { volume: 1, set: 1, sequence: 0, offset: 64, length: 16, responsible: 1, mirroredTo: [1], mirroredFrom: null }
    ])
    expect(source.acknowledged).toBe(0)
  })

  test('block 316: it receives the identifier from the responsible one and keeps track of it and of who that was', () => {
    const group = new TestGroup()
    const [own, other] = [group.openSource(1), group.openSource(2)]
    // The responsible one has given 1 and 2 already.
    own.post({ volume: 1 })
    own.post({ volume: 1 })
    group.settle()
    const ordinal = other.post({ volume: 1 })
    group.step(2)
    expect(group.held(2).find((held) => held.mirroredFrom === null)?.sequence).toBe(0)
    group.step(1)
    expect(other.acknowledged).toBe(0)
    group.step(2)
    expect(group.held(2).find((held) => held.mirroredFrom === null)).toMatchObject({ sequence: 3, mirroredTo: [1] })
    expect(other.receipt(ordinal)).toEqual({ set: FIRST_SET, sequence: 3, holders: [1, 2] })
  })

  test.each([2, 3])(
    'blocks 312-316 with %i mirrors: the responsible one passes it on before it is acknowledged',
    (mirrors) => {
      const group = new TestGroup({ members: 5, mirrors, volumes: 5, chunks: 256 })
      const source = group.openSource(1)
      const ordinal = source.post({ volume: 0 })
      group.step(1, 0, 1, 0, 1)
      expect(group.held(1)).toMatchObject([{ sequence: 1, mirroredTo: [0], mirroredFrom: null }])
      // Noted by the responsible one, held by two: not enough.
      expect(source.acknowledged).toBe(0)
      const onward = group.held(0)[0]?.mirroredTo ?? []
      expect(onward).toHaveLength(mirrors - 1)
      for (const [n, holder] of onward.entries()) {
        group.step(holder)
        expect(group.held(holder)).toMatchObject([{ sequence: 1, mirroredFrom: 0, responsible: 0 }])
        // Two turns: it tells the taker before it looks what mirrors have answered.
        group.step(0, 0, 1)
        expect(source.acknowledged).toBe(n === onward.length - 1 ? 1 : 0)
      }
      expect(source.receipt(ordinal).holders).toEqual([0, 1, ...onward].sort((a, b) => a - b))
      // Really there, each once, and nowhere else.
      expect(group.components.map((_, slot) => group.held(slot).length)).toEqual(
        each(5, (slot) => (slot <= 1 || onward.includes(slot) ? 1 : 0))
      )
    }
  )
})

describe('R4: received from another component', () => {
  test('blocks 320-326: the responsible one accepts, gives the identifier, keeps track of the sender, acknowledges with it', () => {
    const group = new TestGroup()
    const source = group.openSource(2)
    source.post({ volume: 0 })
    source.post({ volume: 0 })
    const link = group.links[2]?.[0] as Link
    const before = link.loadNoted()
    group.step(2, 0)
    expect(group.held(0)).toMatchObject([
      { sequence: 1, mirroredFrom: 2, mirroredTo: [], responsible: 0 },
      { sequence: 2, mirroredFrom: 2, mirroredTo: [], responsible: 0 }
    ])
    expect(link.loadNoted()).toBe(before + 2)
    expect([link.sequences[before & link.mask], link.sequences[(before + 1) & link.mask]]).toEqual([1, 2])
    expect(group.component(0).held.of(FIRST_SET).table.countOf(0)).toBe(2)
  })

  test('blocks 328-332: from the responsible one it accepts update and identifier and keeps track of the sender', () => {
    const group = new TestGroup()
    const [source] = [group.openSource(0)]
    source.post({ volume: 0, offset: 5, bytes: 3 })
    group.step(0, 1)
    expect(group.held(1)).toEqual([
      { volume: 0, set: 1, sequence: 1, offset: 5, length: 3, responsible: 0, mirroredTo: [], mirroredFrom: 0 }
    ])
    // A mirror only holds it: it is in nobody's manifest but the responsible one's.
    expect(group.component(1).held.of(FIRST_SET).table.countOf(0)).toBe(0)
    expect(group.component(1).held.heldUpdates).toBe(1)
  })

  /** Component 1 sends component 2 a hand-made update. */
  function sendByHand(group: TestGroup, volume: number, flags: number, asCopy: boolean): number {
    const out = group.component(1).outs[2] as OutLink
    const bytes = recordBytesFor(8)
    const address = (out.lanes[0] as Lane).reserve(bytes)
    const { ints, floats } = out.arena
    ints[(address >>> 2) + RECORD_BYTES] = bytes
    ints[(address >>> 2) + RECORD_FLAGS] = flags
    ints[(address >>> 2) + RECORD_SOURCE] = 0
    ints[(address >>> 2) + RECORD_VOLUME] = volume
    ints[(address >>> 2) + RECORD_LENGTH] = 8
    ints[(address >>> 2) + RECORD_SET] = FIRST_SET
    floats[(address >>> 3) + RECORD_POSITION] = 0
    floats[(address >>> 3) + RECORD_SEQUENCE] = 7
    const ordinal = asCopy ? out.sendCopy(address) : out.sendUpdate(address, 0)
    out.publish()
    return ordinal
  }

  describe.each([
    { what: 'a request for a volume of a third component', volume: 0, flags: 0 },
    { what: 'a mirror copy from one that is not responsible', volume: 0, flags: FLAG_MIRROR },
    { what: 'a mirror copy of its own volume', volume: 2, flags: FLAG_MIRROR },
    { what: 'a request from the responsible one itself', volume: 1, flags: 0 }
  ])('block 334: $what', ({ volume, flags }) => {
    test.each([false, true])('is rejected, counted, answered, and not held (sent as a copy: %s)', (asCopy) => {
      const group = new TestGroup()
      const link = group.links[1]?.[2] as Link
      const ordinal = sendByHand(group, volume, flags, asCopy)
      group.step(2)
      expect(group.component(2).receiver.rejected).toBe(1)
      expect(group.board.statistics[2]?.[STAT_REJECTED]).toBe(1)
      expect(link.sequences[ordinal & link.mask]).toBe(REJECTED)
      expect(link.loadNoted()).toBe(ordinal + 1)
      expect(group.held(2)).toEqual([])
      expect(group.component(2).held.heldUpdates).toBe(0)
      expect(each(3, (v) => group.component(2).held.of(FIRST_SET).table.countOf(v))).toEqual([0, 0, 0])
    })

    test.each([false, true])('its sender stops with an error (sent as a copy: %s)', (asCopy) => {
      const group = new TestGroup()
      sendByHand(group, volume, flags, asCopy)
      group.step(2)
      expect(() => group.step(1)).toThrow(ProtocolError)
      expect(() => group.step(1)).toThrow(/component 2 rejected/)
    })
  })

  test('block 334: what lies behind a rejected update in the same chunk is held, the rejected one is not listed', () => {
    const group = new TestGroup()
    sendByHand(group, 0, 0, true)
    sendByHand(group, 1, FLAG_MIRROR, true)
    group.step(2)
    expect(group.component(2).held.heldUpdates).toBe(1)
    expect(group.held(2).map((held) => held.volume)).toEqual([1])
  })

  test.each([
    { who: 'the taker of a request', slot: 1, other: 0 },
    { who: 'the responsible one of a mirror copy', slot: 0, other: 1 }
  ])('block 334: $who does not acknowledge what was rejected', ({ slot, other }) => {
    const group = new TestGroup()
    const source = group.openSource(slot)
    source.post({ volume: 0 })
    group.step(slot)
    // The two do not agree about who is responsible.
    group.responsibility(FIRST_SET)[0] = 2
    group.step(other)
    expect(group.component(other).receiver.rejected).toBe(1)
    expect(() => group.step(slot)).toThrow(/rejected an update/)
    expect(source.acknowledged).toBe(0)
  })
})

describe('R1: any component takes updates for any volume from any source', () => {
  test.each([1, 2, 3])('with %i mirrors', (mirrors) => {
    const group = new TestGroup({ members: 4, mirrors, volumes: 6, secondaries: 2, chunks: 256 })
    const sources = each(4, (slot) => group.openSource(slot))
    for (const source of sources)
      for (let volume = 0; volume < 6; volume++) source.post({ volume, offset: source.id * 8, fill: 10 + source.id })
    group.settle()
    for (const source of sources) {
      expect(source.acknowledged).toBe(6)
      for (let volume = 0; volume < 6; volume++) {
        const { holders } = source.receipt(volume)
        expect(holders).toHaveLength(mirrors + 1)
        expect(holders).toEqual(expect.arrayContaining([source.id, volume % 4]))
      }
    }
    group.closeSet()
    for (const image of group.images) {
      expect([...image.subarray(0, 40)]).toEqual(each(40, (at) => (at < 32 ? 10 + (at >>> 3) : 0)))
    }
    expect(group.components.map((component) => component.receiver.rejected)).toEqual([0, 0, 0, 0])
  })

  test('several sources at one component, and components without any', () => {
    const group = new TestGroup({ members: 4, volumes: 4, secondaries: 1 })
    const sources = each(5, () => group.openSource(3))
    for (const source of sources) for (let volume = 0; volume < 4; volume++) source.post({ volume })
    group.settle()
    expect(sources.map((source) => source.acknowledged)).toEqual([4, 4, 4, 4, 4])
    expect(group.components.map((component) => component.taker.taken)).toEqual([0, 0, 0, 20])
  })
})

describe('R7: mirrors', () => {
  /** The holders of what component 0 takes, one update at a time. */
  function holdersOf(mirrorTarget: 'default' | 'spread', mirrors: number, updates: number): number[][] {
    const group = new TestGroup({ members: 4, mirrors, mirrorTarget, volumes: 1, chunks: 256 })
    const source = group.openSource(0)
    return each(updates, () => {
      const ordinal = source.post({ volume: 0 })
      group.settle()
      return source.receipt(ordinal).holders
    })
  }

  test('default: each component mirrors to one partner', () => {
    expect(holdersOf('default', 1, 4)).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
      [0, 1]
    ])
  })

  test('spread: mirrors go around all other components', () => {
    expect(holdersOf('spread', 1, 4)).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [0, 1]
    ])
  })

  test('spread with two mirrors', () => {
    expect(holdersOf('spread', 2, 3)).toEqual([
      [0, 1, 2],
      [0, 2, 3],
      [0, 1, 3]
    ])
  })
})

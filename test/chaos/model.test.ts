/** The model accepts what is right and nothing else: each thing that could go wrong with a copy is done to one. */
import { describe, expect, test } from 'vitest'
import { CELL_BYTES, cellsOf, ownBegin, SHARED_BEGIN, SHARED_BYTES, volumeBytes } from '../../chaos/areas.ts'
import { checkCounter, Model, type Observation } from '../../chaos/model.ts'
import { byteAt, fillPattern, wordOf } from '../../chaos/pattern.ts'
import type { PlacedUpdate, WriterReport, WriterSetting } from '../../chaos/writer-setting.ts'

const VOLUMES = ['a', 'b', 'c']
const OWN_BYTES = 500
const SIZES = VOLUMES.map(() => volumeBytes(2, OWN_BYTES, 10))

function setting(index: number, kind: WriterSetting['kind']): WriterSetting {
  const isMixed = kind === 'mixed'
  return {
    index,
    name: `${kind}-${index}`,
    kind,
    inThread: false,
    seed: index,
    mirrors: 1,
    volumes: VOLUMES,
    cells: isMixed ? [] : cellsOf(index, VOLUMES.length),
    ownBegin: isMixed ? ownBegin(index, OWN_BYTES) : 0,
    ownBytes: isMixed ? OWN_BYTES : 0,
    largestBytes: 900,
    component: undefined,
    ringBytes: 65536
  }
}

const settings = [setting(0, 'mixed'), setting(1, 'mixed'), setting(2, 'counter'), setting(3, 'transaction')]

function placed(
  writer: number,
  update: number,
  set: number,
  sequence: number,
  offset: number,
  length = 100
): PlacedUpdate {
  return { volume: 1, offset: SHARED_BEGIN + offset, length, word: wordOf(writer, update), set, sequence }
}

/** Two writers that overlap in volume b's shared area: the order is 0/1 (set 1), 1/1 (set 1), 0/2 (set 3), zeros (set 3). */
const shared: readonly (readonly PlacedUpdate[])[] = [
  [placed(0, 1, 1, 7, 0), placed(0, 2, 3, 2, 50)],
  [placed(1, 1, 1, 8, 30), { ...placed(1, 2, 3, 3, 140, 5), word: 0 }]
]

function report(index: number, changes: Partial<WriterReport> = {}): WriterReport {
  const own = settings[index]?.kind === 'mixed' ? SIZES.map((_, volume) => ownArea(index, volume)) : []
  const cellSets =
    index === 2
      ? [
          [1, 2, 2],
          [1, 2, 3],
          [1, 2]
        ]
      : index === 3
        ? [
            [1, 3],
            [1, 3],
            [1, 3]
          ]
        : []
  return {
    index,
    updates: 1,
    largeUpdates: 0,
    own,
    shared: shared[index] ?? [],
    cellSets,
    longestWaitMs: 0,
    ...changes
  }
}

function ownArea(writer: number, volume: number): Uint8Array {
  const own = new Uint8Array(OWN_BYTES)
  fillPattern(own.subarray(0, 400), wordOf(writer, 100 + volume), ownBegin(writer, OWN_BYTES))
  return own
}

const reports = settings.map(({ index }) => report(index))

/** The images, written here in the right order without the model. */
function images(order = [shared[0]?.[0], shared[1]?.[0], shared[0]?.[1], shared[1]?.[1]]): Uint8Array[] {
  const made = SIZES.map((size) => new Uint8Array(size))
  for (const [volume, image] of made.entries()) {
    for (const writer of [0, 1]) image.set(ownArea(writer, volume), ownBegin(writer, OWN_BYTES))
  }
  for (const [writer, counts] of [
    [2, [3, 3, 2]],
    [3, [2, 2, 2]]
  ] as const) {
    for (const [n, { volume, offset }] of cellsOf(writer, VOLUMES.length).entries()) {
      Buffer.from((made[volume] as Uint8Array).buffer).writeDoubleLE(counts[n] as number, offset)
    }
  }
  for (const update of order) apply((made[1] as Uint8Array).subarray(SHARED_BEGIN), update as PlacedUpdate)
  return made
}

function apply(area: Uint8Array, { offset, length, word }: PlacedUpdate): void {
  const begin = offset - SHARED_BEGIN
  fillPattern(area.subarray(begin, begin + length), word, offset)
}

const model = (changed = reports): Model => new Model(settings, SIZES, changed)

describe('the final images', () => {
  test('are accepted when they are right', () => {
    model().checkPlaces()
    model().checkFinal(images())
  })

  test('any flipped bit is found, and told where', () => {
    for (const [volume, size] of SIZES.entries()) {
      for (let at = 0; at < size; at += 97) {
        const flipped = images()
        const image = flipped[volume] as Uint8Array
        image[at] = (image[at] as number) ^ 1
        expect(() => model().checkFinal(flipped)).toThrow(`volume ${volume} differs in 1 bytes from ${at} to ${at + 1}`)
      }
    }
    const flipped = images()
    ;(flipped[0] as Uint8Array)[ownBegin(1, OWN_BYTES)] = 0
    expect(() => model().checkFinal(flipped)).toThrow('first in the area of mixed writer 1')
  })

  test('an image that is cut off or too long is found', () => {
    const cut = images().map((image) => image.subarray(0, image.length - 1))
    expect(() => model().checkFinal(cut)).toThrow('bytes, not')
    const long = images().map((image) => Buffer.concat([image, Buffer.of(0)]))
    expect(() => model().checkFinal(long)).toThrow('bytes, not')
  })

  test.each([0, 1, 2, 3])('update %i to the shared area left out is found', (missing) => {
    const order = [shared[0]?.[0], shared[1]?.[0], shared[0]?.[1], shared[1]?.[1]]
    const without = images(order.filter((_, n) => n !== missing))
    expect(() => model().checkFinal(without)).toThrow('the shared area')
  })

  test.each([
    ['within a set', [1, 0, 2, 3]],
    ['across sets', [0, 2, 1, 3]],
    ['of the last two', [0, 1, 3, 2]]
  ])('two updates swapped %s are found', (_, order) => {
    const right = [shared[0]?.[0], shared[1]?.[0], shared[0]?.[1], shared[1]?.[1]]
    expect(() => model().checkFinal(images(order.map((n) => right[n])))).toThrow('the shared area')
  })

  test('receipts that were swapped are found', () => {
    const [first, second] = [shared[0]?.[0], shared[1]?.[0]] as [PlacedUpdate, PlacedUpdate]
    const swapped = [
      report(0, { shared: [{ ...first, sequence: second.sequence }, shared[0]?.[1] as PlacedUpdate] }),
      report(1, { shared: [{ ...second, sequence: first.sequence }, shared[1]?.[1] as PlacedUpdate] }),
      ...reports.slice(2)
    ]
    expect(() => model(swapped).checkFinal(images())).toThrow('the shared area')
  })

  test('two updates of one volume with the same place are found', () => {
    const twice = [report(0), report(1, { shared: [placed(1, 1, 1, 7, 4000)] }), ...reports.slice(2)]
    expect(() => model(twice).checkPlaces()).toThrow('two updates of volume 1 have the place 1/7')
  })

  test('a counter that lacks its last number is found', () => {
    const short = images()
    const [cell] = cellsOf(2, VOLUMES.length)
    Buffer.from((short[cell?.volume ?? 0] as Uint8Array).buffer).writeDoubleLE(2, cell?.offset ?? 0)
    expect(() => model().checkFinal(short)).toThrow('the cells of writer 2')
  })

  test('bytes put into a wrong place are found, by whole words too', () => {
    const word = wordOf(1, 5)
    const same = Array.from({ length: 1000 }, (_, n) => byteAt(word, n) === byteAt(word, n + 8)).filter(Boolean).length
    expect(same).toBeLessThan(50)
  })
})

describe('a held copy', () => {
  function observation(set: number, counts: number[][], updates: (PlacedUpdate | undefined)[]): Observation {
    const area = new Uint8Array(SHARED_BYTES)
    for (const update of updates) apply(area, update as PlacedUpdate)
    return { set, counts: new Map(counts.map((values, n) => [n + 2, values])), volume: 1, shared: area }
  }
  const [first, second, third, fourth] = [shared[0]?.[0], shared[1]?.[0], shared[0]?.[1], shared[1]?.[1]]
  const right = [
    observation(
      0,
      [
        [0, 0, 0],
        [0, 0, 0]
      ],
      []
    ),
    observation(
      1,
      [
        [1, 1, 1],
        [1, 1, 1]
      ],
      [first, second]
    ),
    observation(
      2,
      [
        [3, 2, 2],
        [1, 1, 1]
      ],
      [first, second]
    ),
    observation(
      3,
      [
        [3, 3, 2],
        [2, 2, 2]
      ],
      [first, second, third, fourth]
    )
  ]

  test('has exactly the updates of sets up to its own, in whatever order copies were looked at', () => {
    model().checkObservations(right)
    model().checkObservations([...right].reverse())
  })

  test('an update too many, too few or too early is found', () => {
    const early = observation(
      2,
      [
        [3, 2, 2],
        [1, 1, 1]
      ],
      [first, second, third]
    )
    const late = observation(
      3,
      [
        [3, 3, 2],
        [2, 2, 2]
      ],
      [first, second, third]
    )
    for (const wrong of [early, late]) expect(() => model().checkObservations([wrong])).toThrow('the shared area')
  })

  test('a counter ahead of its set, or behind, is found', () => {
    const ahead = observation(
      2,
      [
        [3, 3, 2],
        [1, 1, 1]
      ],
      [first, second]
    )
    const behind = observation(
      3,
      [
        [3, 3, 2],
        [1, 1, 1]
      ],
      [first, second, third, fourth]
    )
    expect(() => model().checkObservations([ahead])).toThrow('the copy of set 2 has 3 in cell B of writer 2, not 2')
    expect(() => model().checkObservations([behind])).toThrow('the copy of set 3 has 1 in cell A of writer 3, not 2')
  })

  test.each([
    [2, [5, 5, 5], true],
    [2, [5, 5, 4], true],
    [2, [5, 4, 4], true],
    [2, [5, 4, 3], false],
    [2, [4, 5, 4], false],
    [2, [5, 4, 5], false],
    [3, [5, 5, 5], true],
    [3, [5, 5, 4], false]
  ] as const)('writer %i with %j: %j', (writer, values, holds) => {
    const check = (): void => checkCounter(settings[writer] as WriterSetting, 9, values)
    if (holds) check()
    else expect(check).toThrow('the copy of set 9')
  })
})

test('areas do not overlap', () => {
  const cells = settings.flatMap(({ cells }) => cells)
  const places = cells.map(({ volume, offset }) => `${volume}/${offset}`)
  expect(new Set(places).size).toBe(places.length)
  for (const { offset } of cells) expect(offset + CELL_BYTES).toBeLessThanOrEqual(SHARED_BEGIN)
  expect(ownBegin(0, OWN_BYTES)).toBe(SHARED_BEGIN + SHARED_BYTES)
})

/** What a chaos run checks as it goes: each check is shown something right and everything wrong. */
import { describe, expect, test } from 'vitest'
import { Deaths } from '../../chaos/deaths.ts'
import { Gauges } from '../../chaos/gauges.ts'
import { checkViewReport } from '../../chaos/kill.ts'
import { KINDS } from '../../chaos/kinds.ts'
import { drawPlan, type RoundPlan } from '../../chaos/plan.ts'
import { ReceiptCheck } from '../../chaos/receipts.ts'
import { SetOrder } from '../../chaos/set-order.ts'
import { ViewOrder } from '../../chaos/view-order.ts'
import { Watchdog } from '../../chaos/watchdog.ts'
import type { GroupStatus, Receipt, SetReport, ViewReport } from '../../src/index.ts'
import { checkOptions } from '../../src/options.ts'
import { Random } from '../../src/sim/random.ts'

describe('receipts', () => {
  const right: Receipt = { volume: 'a', set: 5, sequence: 10, holders: [0, 2] }
  function check(...receipts: Receipt[]): void {
    const checked = new ReceiptCheck('s', 1, Gauges.allocate(1))
    for (const receipt of receipts) checked.acknowledged(checked.issue(), [receipt], ['a'])
  }

  test('in order, from as many holders as there must be', () => {
    check(right, { ...right, sequence: 11 }, { ...right, set: 6, sequence: 1, holders: [1, 0] })
  })

  test.each<[string, Partial<Receipt>]>([
    ['the same place twice', {}],
    ['a sequence that goes back', { sequence: 9 }],
    ['a set that goes back', { set: 4, sequence: 11 }],
    ['a holder too few', { sequence: 11, holders: [0] }],
    ['a holder twice', { sequence: 11, holders: [1, 1] }],
    ['a holder too many', { sequence: 11, holders: [0, 1, 2] }],
    ['another volume', { sequence: 11, volume: 'b' }],
    ['no set', { sequence: 11, set: Number.NaN }]
  ])('%s', (_, change) => {
    expect(() => check(right, { ...right, ...change })).toThrow("a receipt of source 's'")
  })

  test('are judged in the order of the calls, not in that in which they are heard of', () => {
    const checked = new ReceiptCheck('s', 1, Gauges.allocate(1))
    const [first, second] = [checked.issue(), checked.issue()]
    checked.acknowledged(second, [{ ...right, sequence: 11 }], ['a'])
    checked.acknowledged(first, [right], ['a'])
    const [third, fourth] = [checked.issue(), checked.issue()]
    checked.acknowledged(fourth, [{ ...right, sequence: 12 }], ['a'])
    expect(() => checked.acknowledged(third, [{ ...right, sequence: 13 }], ['a'])).toThrow('does not come after')
  })

  test('no set before that of an update which any source knew to be acknowledged', () => {
    const gauges = Gauges.allocate(2)
    const [one, other] = [new ReceiptCheck('s', 1, gauges), new ReceiptCheck('t', 1, gauges)]
    const early = other.issue()
    one.acknowledged(one.issue(), [right], ['a'])
    const late = other.issue()
    other.acknowledged(early, [{ ...right, set: 4 }], ['a'])
    expect(() => other.acknowledged(late, [{ ...right, set: 4, sequence: 11 }], ['a'])).toThrow('is for a set before 5')
  })

  test('no holder that had gone before; one that went later is none of them', () => {
    const gauges = Gauges.allocate(1)
    const checked = new ReceiptCheck('s', 1, gauges)
    const before = checked.issue()
    gauges.markGone(2)
    checked.acknowledged(before, [right], ['a'])
    expect(() => checked.acknowledged(checked.issue(), [{ ...right, sequence: 11 }], ['a'])).toThrow('had gone before')
  })

  test('of one call are all there, in one set', () => {
    const checked = new ReceiptCheck('s', 1, Gauges.allocate(1))
    const other = { ...right, volume: 'b', set: 6 }
    expect(() => checked.acknowledged(checked.issue(), [right, other], ['a', 'b'])).toThrow('not in one set')
    expect(() => checked.acknowledged(checked.issue(), [right], ['a', 'b'])).toThrow('no receipt')
  })
})

describe('sets', () => {
  const formed: SetReport = { set: 3, state: 'formed', consistencyTime: 100, updates: 2, bytes: 20 }
  const states = (report: SetReport): SetReport[] => [
    report,
    { ...report, state: 'secured' },
    { ...report, state: 'applied' }
  ]
  const hear = (...reports: SetReport[]): SetOrder => {
    const order = new SetOrder()
    for (const report of reports) order.hear(report)
    return order
  }

  test('in order; the next one is formed while this one is applied', () => {
    const next = { ...formed, set: 4, updates: 5 }
    const [a, b, c] = states(formed) as [SetReport, SetReport, SetReport]
    const [d, e, f] = states(next) as [SetReport, SetReport, SetReport]
    expect(hear(a, d, b, c, e, f)).toMatchObject({ updates: 7, applied: 2 })
  })

  test.each<[string, SetReport[]]>([
    ['twice', [formed, formed]],
    ['one left out', [formed, { ...formed, set: 5 }]],
    ['backwards', [formed, { ...formed, set: 2 }]],
    ['secured before formed', [{ ...formed, state: 'secured' }]],
    ['applied before secured', [formed, { ...formed, state: 'applied' }]],
    ['consistency time back', [formed, { ...formed, set: 4, consistencyTime: 99 }]],
    ['another number of updates', [formed, { ...formed, state: 'secured', updates: 3 }]]
  ])('%s', (_, reports) => {
    expect(() => hear(...reports)).toThrow('the report of a set')
  })
})

describe('views', () => {
  const report: ViewReport = {
    view: 2,
    reason: 'failed',
    component: 1,
    detectedMs: 1,
    reassignedMs: 2,
    redundantMs: 2,
    movedUpdates: 0,
    movedBytes: 0
  }

  test.each<[Partial<ViewReport>, boolean]>([
    [{}, true],
    [{ component: 2 }, false],
    [{ reason: 'hung' }, false],
    [{ view: 1 }, false],
    [{ detectedMs: 3 }, false],
    [{ redundantMs: 1 }, false],
    [{ detectedMs: -1 }, false],
    [{ redundantMs: Number.POSITIVE_INFINITY }, false],
    [{ reassignedMs: Number.NaN }, false],
    [{ movedBytes: -1 }, false]
  ])('%j: %j', (change, isRight) => {
    const check = (): void => checkViewReport({ ...report, ...change }, 1, 'failed')
    if (isRight) check()
    else expect(check).toThrow('the view report on component 1')
  })

  test('none comes after a later one', () => {
    const order = new ViewOrder()
    order.hear(report)
    order.hear({ ...report, component: 2 })
    order.hear({ ...report, view: 4, reason: 'hung' })
    expect(order.hung).toBe(1)
    expect(() => order.hear({ ...report, view: 3 })).toThrow('view 3 comes after view 4')
  })
})

test('the watchdog barks when nothing moves, and only then', async () => {
  let progress = 0
  const mover = setInterval(() => progress++, 5)
  const moving = new Watchdog({ progress: () => progress, describe: () => 'moving' }, 100, 5)
  const standing = new Watchdog({ progress: () => 7, describe: () => 'waiting for nobody' }, 100, 5)
  const first = Promise.race([moving.barks, standing.barks])
  await expect(first).rejects.toThrow('waiting for nobody')
  clearInterval(mover)
  await expect(moving.barks).rejects.toThrow('moving')
  moving.stop()
  standing.stop()
})

describe('who may be killed', () => {
  function plan(options: Partial<RoundPlan['options']>, kinds = KINDS): RoundPlan {
    const drawn = drawPlan(1, kinds)
    return { ...drawn, options: { ...drawn.options, takeover: 'spare', spares: 1, mirrors: 1, ...options } }
  }
  const status = (...ids: number[]): GroupStatus =>
    ({ components: ids.map((id) => ({ id, state: 'active' })) }) as unknown as GroupStatus
  const random = new Random(1)

  test('never more than mirrors of those that hold something', () => {
    const deaths = new Deaths(plan({ mirrors: 2, spares: 2 }))
    for (const left of [2, 1]) {
      const death = deaths.draw(status(0, 1, 2, 3, 4), random)
      expect(death, `${left} more`).toMatchObject({ isAgain: false })
      deaths.killed(death?.id ?? -1)
    }
    for (let n = 0; n < 50; n++) expect(deaths.draw(status(0, 1, 2, 3, 4), random)).toBeUndefined()
  })

  test('who came to take over may die again, and then nobody until all is redundant', () => {
    const deaths = new Deaths(plan({ spares: 2 }))
    const first = deaths.draw(status(0, 1, 2), random)
    deaths.killed(first?.id ?? -1)
    const living = [0, 1, 2, 7].filter((id) => id !== first?.id)
    const draws = Array.from({ length: 20 }, () => deaths.draw(status(...living), random)).filter(
      (d) => d !== undefined
    )
    expect(draws).toEqual([{ id: 7, isAgain: true }])
  })

  test('not while one joins, who might be it', () => {
    const deaths = new Deaths(plan({ spares: 2 }))
    deaths.killed(deaths.draw(status(0, 1, 2), random)?.id ?? -1)
    deaths.joins()
    for (let n = 0; n < 20; n++) expect(deaths.draw(status(0, 1, 2, 7), random)).toBeUndefined()
    deaths.joined(7)
    for (let n = 0; n < 20; n++) expect(deaths.draw(status(0, 1, 2, 7), random)).toBeUndefined()
  })

  test('nobody when too few would remain and no spare makes up for it', () => {
    expect(new Deaths(plan({ takeover: 'survivors' })).draw(status(0, 1), random)).toBeUndefined()
    expect(new Deaths(plan({ spares: 0 })).draw(status(0, 1), random)).toBeUndefined()
    expect(new Deaths(plan({ takeover: 'survivors' })).draw(status(0, 1, 2), random)).toBeDefined()
    expect(new Deaths(plan({ spares: 1 })).draw(status(0, 1), random)).toBeDefined()
  })
})

describe('what a round is', () => {
  test('the seed decides it', () => {
    expect(drawPlan(5)).toEqual(drawPlan(5))
    expect(drawPlan(6)).not.toEqual(drawPlan(5))
  })

  test('options are such as a group takes, and all that are asked for come up', () => {
    const seen = { components: new Set(), mirrors: new Set(), ordering: new Set(), takeover: new Set() }
    for (let seed = 0; seed < 300; seed++) {
      const { options, writers } = drawPlan(seed, KINDS)
      checkOptions({ ...options, secondary: 'discard' })
      for (const name of ['components', 'mirrors', 'ordering', 'takeover'] as const) seen[name].add(options[name])
      expect(new Set(writers.map(({ kind }) => kind)).size).toBe(3)
      expect(writers.some(({ inThread }) => inThread)).toBe(true)
    }
    const counts = Object.values(seen).map(({ size }) => size)
    expect(counts).toEqual([4, 3, 3, 2])
  })
})

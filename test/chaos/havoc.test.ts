/** Joins, leaves and looks against a group that only pretends, well or badly. */
import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { EventLog } from '../../chaos/event-log.ts'
import { Gauges } from '../../chaos/gauges.ts'
import { Havoc } from '../../chaos/havoc.ts'
import type { Kind } from '../../chaos/kinds.ts'
import { drawPlan } from '../../chaos/plan.ts'
import { Totals } from '../../chaos/totals.ts'
import { type BackupGroup, TidemarkError } from '../../src/index.ts'

class PretendedGroup extends EventEmitter {
  readonly states = new Map([0, 1, 2, 3].map((id) => [id, 'active']))
  next = 4
  calls = 0
  onCall = (_calls: number): void => {}

  async addComponent(): Promise<number> {
    this.onCall(++this.calls)
    const id = this.next++
    this.states.set(id, 'active')
    return id
  }

  async removeComponent(id: number): Promise<void> {
    this.onCall(++this.calls)
    if (this.states.size < 3) throw new TidemarkError('TIDEMARK_NOT_REDUNDANT', 'too few')
    this.states.delete(id)
  }

  heldUpdates(id: number): unknown[] {
    this.onCall(++this.calls)
    if (!this.states.has(id)) throw new TidemarkError('TIDEMARK_UNKNOWN_COMPONENT', 'unknown')
    return []
  }

  status(): unknown {
    const sets = { forming: 4, formed: 3, secured: 2, applying: null, applied: 2 }
    return { state: 'running', sets, components: [...this.states].map(([id, state]) => ({ id, state })), volumes: [] }
  }
}

/** Runs until so many calls were made, then stops. */
async function havocOn(group: PretendedGroup, kinds: Kind[], calls: number): Promise<Totals> {
  const drawn = drawPlan(1, kinds)
  const plan = { ...drawn, longestPauseMs: 0, options: { ...drawn.options, mirrors: 1 } }
  const totals = new Totals()
  const havoc = new Havoc({
    group: group as unknown as BackupGroup,
    plan,
    gauges: Gauges.allocate(1),
    copies: undefined,
    totals,
    log: new EventLog(),
    signal: new AbortController().signal
  })
  const before = group.onCall
  group.onCall = (count) => {
    before(count)
    if (count >= calls) havoc.stop()
  }
  await havoc.run()
  return totals
}

describe('havoc', () => {
  test('joins and leaves, and looks', async () => {
    const totals = await havocOn(new PretendedGroup(), ['join', 'leave', 'look'], 60)
    expect(totals.joins).toBeGreaterThan(5)
    expect(totals.leaves).toBeGreaterThan(5)
  })

  test('an id that is given twice is found', async () => {
    const group = new PretendedGroup()
    group.onCall = (calls) => {
      if (calls > 20) group.next = 1
    }
    await expect(havocOn(group, ['join', 'leave'], 1000)).rejects.toThrow('got the id 1 again')
  })

  test('a component that was gone and is active again is found', async () => {
    const group = new PretendedGroup()
    group.onCall = (calls) => {
      if (calls > 20) for (const id of [0, 1, 2, 3]) group.states.set(id, 'active')
    }
    await expect(havocOn(group, ['join', 'leave', 'look'], 1000)).rejects.toThrow('was gone and is active again')
  })

  test('what a call rejects with is told', async () => {
    const group = new PretendedGroup()
    group.removeComponent = () => Promise.reject(new TidemarkError('TIDEMARK_CLOSED', 'it was closed'))
    await expect(havocOn(group, ['join', 'leave'], 1000)).rejects.toThrow('it was closed')
  })

  test('a group that is suspended is found', async () => {
    const group = new PretendedGroup()
    const status = group.status.bind(group)
    group.status = () => ({ ...(status() as object), state: 'suspended' })
    await expect(havocOn(group, ['look'], 1000)).rejects.toThrow('the group is suspended')
  })

  test('sees to it that a group that has become too small grows again', async () => {
    const group = new PretendedGroup()
    for (const id of [1, 2, 3]) group.states.delete(id)
    await havocOn(group, ['join'], 1)
    expect(group.states.size).toBe(2)
  })
})

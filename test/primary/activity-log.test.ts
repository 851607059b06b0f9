import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ActivityWorld, type Broken, REGIONS } from './activity-world.ts'

type Step = readonly [kind: number, n: number]

const steps = fc.array(fc.tuple(fc.nat(12), fc.nat(1000)), { minLength: 10, maxLength: 120 })
const draws = fc.infiniteStream(fc.nat(10_000))

function take(world: ActivityWorld, [kind, n]: Step): void {
  if (kind <= 3) world.begin(n % REGIONS)
  else if (kind <= 5) world.file(n)
  else if (kind === 6) world.take(n)
  else if (kind <= 8) world.acknowledge(n)
  else if (kind === 9) world.closeSet()
  else if (kind === 10) world.apply()
  else if (kind === 11) world.endSync()
  else world.endLogWrite()
}

async function crashAnywhere(broken: Broken, script: readonly Step[], stream: Iterator<number>): Promise<void> {
  const world = new ActivityWorld(broken)
  const draw = (bound: number): number => (stream.next().value as number) % bound
  for (const step of script) {
    take(world, step)
    world.checkCrash(draw)
    // Who waits for it goes on.
    await setImmediate()
    world.checkCrash(draw)
  }
}

function property(broken: Broken) {
  return fc.asyncProperty(steps, draws, (script, stream) => crashAnywhere(broken, script, stream[Symbol.iterator]()))
}

describe('after a crash at any moment, whatever of what was not synced is lost, what differs is in the log', () => {
  test('P1 and P2', async () => {
    await fc.assert(property('none'), { numRuns: 1500 })
  })

  test.each(['not-logged-first', 'not-synced', 'not-applied'] as const)(
    'without them (%s) it is not',
    async (broken) => {
      const found = await fc.check(property(broken), { numRuns: 2000, endOnFailure: true })
      expect(found.failed).toBe(true)
    }
  )
})

test('whoever waits for room in the log gets it, without end', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const world = new ActivityWorld('none')
      for (const step of script) {
        take(world, step)
        await setImmediate()
      }
      const before = world.finishedWrites
      for (let turn = 0; turn < 400 && !world.idle; turn++) {
        world.settle()
        await setImmediate()
      }
      expect(world.idle, `${world.finishedWrites - before} ended, others never`).toBe(true)
    }),
    { numRuns: 400 }
  )
})

test('a region that is in the log costs nothing', async () => {
  const world = new ActivityWorld('none')
  const entered = world.log.enter(1, 2)
  expect(entered).toBeInstanceOf(Promise)
  await setImmediate()
  world.endLogWrite()
  await entered
  world.log.leave(1, 2, 1)
  expect(world.log.enter(2, 2)).toBeUndefined()
  expect(world.log.lastSetOf(2)).toBe(1)
  expect(world.log.lastSetOf(0)).toBe(0)
  world.log.leave(2, 2, 5)
  expect(world.log.lastSetOf(2)).toBe(5)
})

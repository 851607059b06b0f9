/** Spares whose threads the test lets become warm, end and die. */
import { MessageChannel } from 'node:worker_threads'
import { afterEach, expect, test } from 'vitest'
import type { Appointment, SpareTask, ThreadNotice } from '../../src/runtime/messages.ts'
import { Spares } from '../../src/runtime/spares.ts'
import type { HostedThread, ThreadPool } from '../../src/runtime/thread-pool.ts'

interface FakeThread {
  readonly hosted: HostedThread
  warm(): void
  /** Its task has ended, its thread not yet. */
  end(): void
  exit(): void
  terminations: number
}

const channels: MessageChannel[] = []
afterEach(() => {
  for (const { port1 } of channels.splice(0)) port1.close()
})

function fakeThread(onNotice: (notice: ThreadNotice) => void): FakeThread {
  const channel = new MessageChannel()
  channels.push(channel)
  const ended = Promise.withResolvers<unknown>()
  const exited = Promise.withResolvers<void>()
  const thread: FakeThread = {
    terminations: 0,
    warm: () => onNotice({ type: 'warm' }),
    end: () => ended.resolve(undefined),
    exit: () => exited.resolve(),
    hosted: {
      port: channel.port1,
      running: new Promise(() => {}),
      ended: ended.promise,
      fenced: exited.promise,
      exited: exited.promise,
      hasRun: () => false,
      terminate: () => {
        thread.terminations++
      }
    }
  }
  return thread
}

function openSpares(count: number): { spares: Spares; threads: FakeThread[]; told: string[] } {
  const threads: FakeThread[] = []
  const told: string[] = []
  const pool = {
    start: (_task: unknown, onNotice: (notice: ThreadNotice) => void): HostedThread => {
      const thread = fakeThread(onNotice)
      threads.push(thread)
      return thread.hosted
    }
  }
  let nextId = 10
  const spares = new Spares({
    pool: pool as unknown as ThreadPool,
    count,
    nextId: () => nextId++,
    task: () => ({}) as Omit<SpareTask, 'port' | 'bed'>,
    onNotice: ({ type }) => told.push(type),
    onWarm: () => told.push('warm')
  })
  return { spares, threads, told }
}

const APPOINTMENT = { slot: 0 } as Appointment
/** Until all that was settled has been heard of. */
const heard = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('as many as are wanted are started, and seen when they are warm', async () => {
  const { spares, threads, told } = openSpares(2)
  const refilled = spares.refill()
  expect(threads).toHaveLength(2)
  expect(spares.ids).toEqual([])
  threads[1]?.warm()
  expect(spares.ids).toEqual([11])
  threads[0]?.warm()
  await refilled
  expect(spares.ids).toEqual([11, 10])
  expect(told).toEqual(['warm', 'warm'])
})

test('one that dies warm is made up for, and is not taken', async () => {
  const { spares, threads } = openSpares(1)
  void spares.refill()
  threads[0]?.warm()
  threads[0]?.exit()
  await heard()
  expect(spares.ids).toEqual([])
  expect(spares.take(APPOINTMENT)).toBeUndefined()
  expect(threads).toHaveLength(2)
  threads[1]?.warm()
  expect(spares.take(APPOINTMENT)?.id).toBe(11)
})

test('one whose task ends before it is a component is ended', async () => {
  const { spares, threads } = openSpares(1)
  void spares.refill()
  threads[0]?.warm()
  threads[0]?.end()
  await heard()
  expect(threads[0]?.terminations).toBe(1)
})

test('one that has become a component is neither ended nor made up for when it dies', async () => {
  const { spares, threads } = openSpares(1)
  void spares.refill()
  threads[0]?.warm()
  spares.take(APPOINTMENT)
  threads[0]?.end()
  threads[0]?.exit()
  await heard()
  expect(threads[0]?.terminations).toBe(0)
  expect(threads).toHaveLength(1)
})

test('where none becomes warm it is tried a few times, and again when asked', async () => {
  const { spares, threads } = openSpares(1)
  const refilled = spares.refill()
  for (let n = 0; n < threads.length && n < 100; n++) {
    threads[n]?.exit()
    await heard()
  }
  await refilled
  const tried = threads.length
  expect(tried).toBeGreaterThan(1)
  expect(tried).toBeLessThan(10)
  void spares.refill()
  expect(threads).toHaveLength(tried + 1)
  threads[tried]?.warm()
  expect(spares.ids).toHaveLength(1)
})

test('when it is over none is started any more, nor told', async () => {
  const { spares, threads, told } = openSpares(2)
  void spares.refill()
  threads[0]?.warm()
  spares.close()
  threads[1]?.warm()
  threads[0]?.exit()
  await heard()
  void spares.refill()
  expect(threads).toHaveLength(2)
  expect(told).toEqual(['warm'])
})

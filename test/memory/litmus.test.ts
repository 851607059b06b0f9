/**
 * What only real threads can break: writers and readers that are really terminated at random instants, and wakes that could be
 * lost. TIDEMARK_LITMUS=10 does ten times as much.
 */
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { type SourceLayout, SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { Random } from '../../src/sim/random.ts'
import {
  CHECKED,
  CONTROL_BYTES,
  type DekkerTask,
  describeRings,
  endOf,
  HOLD,
  LONGEST,
  openRings,
  REACHED,
  READING,
  REPEATED,
  type RecordTask,
  type RingsTask,
  ringsBytes,
  SEEN,
  STOP,
  WRITING
} from './litmus.ts'

const TIMES = Number(process.env.TIDEMARK_LITMUS ?? 1)
const KILLS = 70 * TIMES
const MESSAGES = 200_000 * TIMES
/** Checked records: most of them after the last kill, when the code is at its fastest. */
const GOAL = 300_000 * TIMES
const LIMIT_MS = 60_000 * TIMES

const LAYOUT: SourceLayout = { bodyBytes: 1024, capacity: 16 }

type Role = 'writer' | 'reader'

/** One ring, one writer, one reader; one of the two is terminated again and again, and replaced by a new thread. */
class Litmus {
  readonly memory: SourceMemory
  readonly control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES))
  private readonly seen = new SharedArrayBuffer(SEEN * 4)
  private readonly random = new Random(Date.now())
  private failed: unknown
  private readonly incarnations = { writer: 0, reader: 0 }

  constructor() {
    this.memory = new SourceMemory(SourceMemory.allocate(LAYOUT), LAYOUT)
  }

  start(role: Role): { worker: Worker; end: Promise<number>; begun: Promise<unknown> } {
    const incarnation = ++this.incarnations[role]
    const workerData: RecordTask = {
      memory: this.memory.buffer,
      layout: LAYOUT,
      control: this.control.buffer,
      seen: this.seen,
      incarnation,
      seed: this.random.bits(),
      goal: GOAL
    }
    const word = role === 'writer' ? WRITING : READING
    const begun = Atomics.waitAsync(this.control, word, incarnation - 1)
    const worker = new Worker(new URL(`./litmus-${role}.ts`, import.meta.url), { workerData, execArgv: [] })
    const end = endOf(worker)
    end.catch((error: unknown) => {
      this.failed ??= error
      // Whoever waits for it goes on and finds the failure.
      Atomics.notify(this.control, word)
      Atomics.notify(this.control, REACHED)
    })
    return { worker, end, begun: begun.async ? begun.value : Promise.resolve() }
  }

  private hold(value: number): void {
    Atomics.store(this.control, HOLD, value)
    Atomics.notify(this.control, HOLD)
  }

  /** Terminates and replaces the thread of that role `KILLS` times; returns in how many of its lives something was published. */
  async killAll(role: Role): Promise<number> {
    const other = this.start(role === 'writer' ? 'reader' : 'writer')
    await other.begun
    let active = 0
    for (let n = 0; n < KILLS && this.failed === undefined; n++) {
      const before = this.control[CHECKED] as number
      const { worker, begun } = this.start(role)
      await begun
      this.hold(0)
      // At any instant of its work: the delay is the point.
      await new Promise((resolve) => setTimeout(resolve, this.random.below(8)))
      for (let spin = this.random.below(20_000); spin > 0; spin--) Math.sqrt(spin)
      // Every other writer is followed by one that finds records of it which are not released.
      if (role === 'writer' && n % 2 === 0) this.hold(1)
      await worker.terminate()
      if ((this.control[CHECKED] as number) > before) active++
    }
    // The last ones live to the end: the writer stops, then the reader has read all of it.
    const last = this.start(role)
    await last.begun
    this.hold(0)
    if (this.failed === undefined) await Atomics.waitAsync(this.control, REACHED, 0).value
    const [writer, reader] = role === 'writer' ? [last, other] : [other, last]
    Atomics.store(this.control, STOP, 1)
    expect(await writer.end).toBe(0)
    Atomics.store(this.control, STOP, 2)
    expect(await reader.end).toBe(0)
    if (this.failed !== undefined) throw this.failed
    return active
  }
}

describe('a source ring of 1 KiB', () => {
  test(
    'its writer is terminated at random instants and replaced: no record torn, lost or doubled',
    async () => {
      const litmus = new Litmus()
      const active = await litmus.killAll('writer')
      const { control, memory } = litmus
      expect(active).toBeGreaterThan(KILLS / 2)
      expect(memory.loadReleased()).toBe(memory.loadPublished())
      expect(control[CHECKED]).toBe(memory.loadPublished())
      expect(control[REPEATED]).toBe(0)
      expect(control[LONGEST]).toBeGreaterThan(4)
    },
    LIMIT_MS
  )

  test(
    'its reader is terminated at random instants and replaced: it reads again from the acknowledged position, nothing is lost',
    async () => {
      const litmus = new Litmus()
      const active = await litmus.killAll('reader')
      const { control, memory } = litmus
      expect(active).toBeGreaterThan(KILLS / 2)
      expect(memory.loadReleased()).toBe(memory.loadPublished())
      expect(control[CHECKED]).toBe(memory.loadPublished())
      expect(control[LONGEST]).toBeGreaterThan(4)
    },
    LIMIT_MS
  )
})

/** Runs one receiver and its senders to the end. They never wake by themselves: a wake that is lost hangs them. */
async function runRings(senders: number, capacity: number, messages: number, answers: boolean): Promise<void> {
  const buffer = new SharedArrayBuffer(ringsBytes(senders, capacity))
  const workers = Array.from({ length: senders + 1 }, (_, self) => {
    const workerData: RingsTask = { buffer, senders, capacity, messages, self, answers }
    return new Worker(new URL('./litmus-rings.ts', import.meta.url), { workerData, execArgv: [] })
  })
  let watchdog: NodeJS.Timeout | undefined
  const rings = openRings({ buffer, senders, capacity, messages, self: 0, answers })
  const hung = new Promise<never>((_, reject) => {
    // Not so long in all, but so long without any progress.
    let before = ''
    watchdog = setInterval(() => {
      const now = describeRings(rings)
      if (now === before) reject(new Error(`no progress for 5 s: ${now}`))
      before = now
    }, 5000)
  })
  try {
    const codes = await Promise.race([Promise.all(workers.map(endOf)), hung])
    expect(codes).toEqual(workers.map(() => 0))
  } finally {
    clearInterval(watchdog)
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  for (const [n, ring] of rings.rings.entries()) {
    const expected = n < senders || answers ? messages : 0
    expect([ring.loadPublished(), ring.loadReleased()]).toEqual([expected, expected])
  }
}

describe('parking: nobody spins, nobody has a timeout', () => {
  test.each([2, 4])(
    'two threads play ping-pong over rings of %i entries',
    async (capacity) => {
      await runRings(1, capacity, MESSAGES / 2, true)
    },
    LIMIT_MS
  )

  test.each(['a ring and a parking', 'the one word of a source'])(
    'each of many times that one parks while another publishes, at least one of them sees it: %s',
    async (what) => {
      const rounds = 150_000 * TIMES
      const outcomes = new SharedArrayBuffer(rounds + 1)
      const common = { buffer: new SharedArrayBuffer(ringsBytes(1, 2)), senders: 1, capacity: 2, messages: rounds }
      const meeting = new SharedArrayBuffer(256)
      const layout = sourceLayout(1024)
      const source = what.endsWith('source') ? { buffer: SourceMemory.allocate(layout), layout } : undefined
      const ends = [0, 1].map((self) => {
        const workerData: DekkerTask = { ...common, self, answers: false, meeting, outcomes, source }
        return endOf(new Worker(new URL('./litmus-dekker.ts', import.meta.url), { workerData, execArgv: [] }))
      })
      expect(await Promise.all(ends)).toEqual([0, 0])
      const counts = [0, 0, 0, 0]
      for (const outcome of new Uint8Array(outcomes).subarray(1)) counts[outcome] = (counts[outcome] as number) + 1
      // Neither: the sleeper would sleep though something was published, and nobody would wake it.
      expect(counts[0]).toBe(0)
      // The rounds did meet: each was first sometimes.
      expect(counts[1]).toBeGreaterThan(0)
      expect(counts[2]).toBeGreaterThan(0)
    },
    LIMIT_MS
  )

  test(
    'several writers wake one sleeper, which wakes them',
    async () => {
      await runRings(3, 2, MESSAGES / 4, false)
    },
    LIMIT_MS
  )
})

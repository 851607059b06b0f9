import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { stallSecondary } from '../../src/chaos.ts'
import type { BackupGroup, PressureReport } from '../../src/index.ts'
import { imageOf } from './image.ts'
import { startWriter } from './writers.ts'

export const BLOCK_BYTES = 4096
export const BLOCKS = 256
export const VOLUMES = Array.from({ length: 4 }, (_, n) => ({ name: `v${n}`, size: BLOCK_BYTES * BLOCKS }))

export interface SlowRun {
  readonly stallMs: number
  /** Blocks that each source writes a second; undefined: as many as the group takes. */
  readonly perSecond?: number
  readonly spoolDirectory?: string
  /** While the secondary stands still and the steps until then have begun. */
  readonly meanwhile?: () => Promise<void>
  /** The stall goes on at least until this step has begun. */
  readonly until: PressureReport['step']
}

export interface SlowFacts {
  readonly events: readonly PressureReport[]
  readonly order: readonly string[]
  /** The most that one component held, and that lay in the spool: as told, and in its files. */
  readonly mostHeld: number
  readonly mostSpooled: number
  readonly mostInFiles: number
  readonly written: readonly number[]
  /** The longest time for which a source had to wait for one update. */
  readonly longestMs: number
  readonly mostLagMs: number
  readonly caughtUpMs: number
  readonly lagAfterMs: number
}

/** Four sources on threads of their own; the secondary stands still under their load, and goes on; then they end. */
export async function runSlowSecondary(group: BackupGroup, run: SlowRun): Promise<SlowFacts> {
  const { stallMs, perSecond, spoolDirectory, meanwhile, until } = run
  const events: PressureReport[] = []
  group.on('pressure', (report) => events.push(report))
  let [mostHeld, mostSpooled, mostInFiles, mostLagMs] = [0, 0, 0, 0]
  const look = (): void => {
    const { components, pressure, lagMs } = group.status()
    for (const { heldBytes } of components) mostHeld = Math.max(mostHeld, heldBytes)
    mostSpooled = Math.max(mostSpooled, pressure.spooledBytes)
    mostLagMs = Math.max(mostLagMs, lagMs ?? 0)
    if (spoolDirectory !== undefined)
      mostInFiles = Math.max(mostInFiles, bytesIn(path.join(spoolDirectory, 'segments')))
  }
  const timer = setInterval(look, 20)
  const stop = new SharedArrayBuffer(4)
  const size = { blockBytes: BLOCK_BYTES, blocks: BLOCKS }
  const task =
    perSecond === undefined
      ? ({ kind: 'never pause', ...size } as const)
      : ({ kind: 'steady', ...size, perSecond } as const)
  const threads = VOLUMES.map(({ name }) => startWriter(group.exportSource(name), name, task, stop))
  await applied(group, 3)
  const stall = stallSecondary(group)
  const lasted = new Promise((resolve) => setTimeout(resolve, stallMs))
  await begun(group, events, until)
  await meanwhile?.()
  await lasted
  look()
  stall.release()
  const released = performance.now()
  await untilLag(group, 400)
  const caughtUpMs = performance.now() - released
  // Under the same load, for a while.
  await applied(group, 10)
  const lagAfterMs = group.status().lagMs ?? Number.POSITIVE_INFINITY
  new Int32Array(stop)[0] = 1
  const answers = (await Promise.all(threads.map(({ answer }) => answer))) as { written: number; longestMs: number }[]
  await Promise.all(threads.map(({ exited }) => exited))
  clearInterval(timer)
  return {
    events,
    order: events.map(({ step, state }) => `${step} ${state}`),
    mostHeld,
    mostSpooled,
    mostInFiles,
    written: answers.map(({ written }) => written),
    longestMs: Math.max(...answers.map(({ longestMs }) => longestMs)),
    mostLagMs,
    caughtUpMs,
    lagAfterMs
  }
}

/** Blocks that are not what the writers wrote last. */
export function wrongBlocks(directory: string, written: readonly number[]): string[] {
  return VOLUMES.flatMap(({ name }, n) => {
    const image = imageOf(directory, name)
    const count = written[n] as number
    return Array.from({ length: BLOCKS }, (_, block) => block).flatMap((block) => {
      // The last number that came to this block; none did in the first round.
      const last = count === 0 ? -1 : block + Math.floor((count - 1 - block) / BLOCKS) * BLOCKS
      const wanted = last < 0 ? 0 : last + 1
      const bytes = image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
      const isRight = new Uint32Array(bytes.buffer, bytes.byteOffset, BLOCK_BYTES / 4).every((word) => word === wanted)
      return isRight ? [] : [`${name}, block ${block}: ${bytes.readUInt32LE(0)} instead of ${wanted}`]
    })
  })
}

/** Each step begins before it ends, and a deeper one never begins before those above it. */
export function isInOrder(events: readonly PressureReport[]): boolean {
  const active = new Set<string>()
  for (const { step, state } of events) {
    if ((state === 'begin') === active.has(step)) return false
    if (state === 'end') active.delete(step)
    else {
      if (step === 'pace' && !active.has('close-early')) return false
      active.add(step)
    }
  }
  return true
}

function bytesIn(directory: string): number {
  let bytes = 0
  for (const name of readdirSync(directory))
    bytes += statSync(path.join(directory, name), { throwIfNoEntry: false })?.size ?? 0
  return bytes
}

/** So many sets more are applied. Those that hold nothing do not count: writers are still on their way, and no secondary is needed. */
function applied(group: BackupGroup, sets: number): Promise<void> {
  return new Promise((resolve) => {
    let left = sets
    group.on('set', function onSet({ state, updates }) {
      if (state !== 'applied' || updates === 0 || --left > 0) return
      group.off('set', onSet)
      resolve()
    })
  })
}

function begun(group: BackupGroup, events: readonly PressureReport[], wanted: PressureReport['step']): Promise<void> {
  return new Promise((resolve) => {
    if (events.some(({ step }) => step === wanted)) return resolve()
    group.on('pressure', function onPressure({ step }) {
      if (step !== wanted) return
      group.off('pressure', onPressure)
      resolve()
    })
  })
}

function untilLag(group: BackupGroup, ms: number): Promise<void> {
  return new Promise((resolve) => {
    group.on('set', function onSet({ state }) {
      if (state !== 'applied' || (group.status().lagMs ?? ms) >= ms) return
      group.off('set', onSet)
      resolve()
    })
  })
}

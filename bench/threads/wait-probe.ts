import { setTimeout as pause } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { attachSource } from '../../src/source.ts'
import { answerRequests } from '../bench-thread.ts'
import type { ProbeRequest, ProbeResult, ProbeThreadData } from '../failover/probes.ts'

/** Writes without end, and remembers the longest that it had to wait for an acknowledgement. */
const { port, volumes, lengthBytes, awaits } = workerData as ProbeThreadData
const source = attachSource(port)
const writers = volumes.map((name) => source.volume(name))
const data = new Uint8Array(lengthBytes).fill(9)
let posted = 0
let waits = 0
let longestMs = 0
/** Acknowledged in order: when this one is, all before it are. */
let last: Promise<void> = Promise.resolve()
let isOver = false

async function write(): Promise<void> {
  const writer = writers[posted % writers.length]
  posted++
  const before = performance.now()
  await writer?.write(0, data)
  longestMs = Math.max(longestMs, performance.now() - before)
  waits++
}

async function run(): Promise<void> {
  while (!isOver) {
    last = write()
    if (awaits) await last
    // Paced: what is held shall hardly grow, and others need the cores.
    await pause(1)
  }
}

const running = run()

answerRequests<ProbeRequest, ProbeResult>(async ({ type }) => {
  if (type === 'stop') {
    isOver = true
    await running
  }
  await last
  // The thread may not have had a core since the last request: whatever happened meanwhile, this write is after it.
  if (waits === 0) {
    last = write()
    await last
  }
  const result = { longestMs, posted }
  longestMs = 0
  waits = 0
  return result
})

import { workerData } from 'node:worker_threads'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { attachSource } from '../../src/source.ts'
import { answerRequests } from '../bench-thread.ts'
import type { SourceRequest, SourceResult, SourceThreadData } from '../group/measured-group.ts'
import { VolumeChoice } from '../group/volume-choice.ts'
import { LatencyHistogram } from '../latency.ts'
import { postPaced } from '../paced.ts'
import { makePayload, numberPayload } from '../payload.ts'
import { Places } from '../places.ts'

const { port, volumes, lengthBytes, ownShare } = workerData as SourceThreadData
const source = attachSource(port)
const writers = volumes.map((name) => source.volume(name))
const data = new ArrayBuffer(lengthBytes)
const words = makePayload(data, 0, lengthBytes)
// Other views are turned into one of bytes at each call.
const bytes = new Uint8Array(data)
const places = new Places(writers.length, writers[0]?.size ?? 0, lengthBytes)
let posted = 0

const choice = ownShare === undefined ? undefined : new VolumeChoice(port, ownShare)

/** The next volume in turn; the place moves on when all have had theirs. */
function next(): { volume: number; offset: number } {
  places.next()
  numberPayload(words, posted++)
  return { volume: choice?.next() ?? places.volume, offset: places.offset }
}

function putNext(): void {
  places.next()
  numberPayload(words, posted++)
  writers[choice === undefined ? places.volume : choice.next()]?.postSync(places.offset, bytes)
}

function post(count: number): SourceResult {
  const beganAt = clockMicroseconds()
  for (let n = 0; n < count; n++) putNext()
  source.flushSync()
  return { beganAt, endedAt: clockMicroseconds(), posted }
}

function paced(perSecond: number, forMs: number): SourceResult {
  const beganAt = clockMicroseconds()
  postPaced(putNext, perSecond, forMs)
  source.flushSync()
  return { beganAt, endedAt: clockMicroseconds(), posted }
}

async function writeAwaited(forMs: number): Promise<SourceResult> {
  const histogram = new LatencyHistogram()
  const beganAt = clockMicroseconds()
  while (clockMicroseconds() - beganAt < forMs * 1000) {
    const { volume, offset } = next()
    const before = performance.now()
    await writers[volume]?.write(offset, bytes)
    histogram.record(performance.now() - before)
  }
  return { beganAt, endedAt: clockMicroseconds(), posted, latency: histogram.read() }
}

function writeFlushed(forMs: number): SourceResult {
  const histogram = new LatencyHistogram()
  const beganAt = clockMicroseconds()
  while (clockMicroseconds() - beganAt < forMs * 1000) {
    const { volume, offset } = next()
    const before = performance.now()
    writers[volume]?.postSync(offset, bytes)
    source.flushSync()
    histogram.record(performance.now() - before)
  }
  return { beganAt, endedAt: clockMicroseconds(), posted, latency: histogram.read() }
}

answerRequests<SourceRequest, SourceResult>((request) => {
  if (request.type === 'post') return post(request.count)
  if (request.type === 'paced') return paced(request.perSecond, request.forMs)
  if (request.type === 'write-awaited') return writeAwaited(request.forMs)
  return writeFlushed(request.forMs)
})

import { workerData } from 'node:worker_threads'
import { RingBuffer } from 'ringbuf.js'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { answerRequests } from '../bench-thread.ts'
import { openParking, type PassRequest, type ReceivedReport, waitUntil } from '../channel.ts'
import { foldPayload } from '../payload.ts'
import type { RingbufThreadData } from '../ring.ts'

/** Payloads that are taken at once, where so many are there. */
const TAKE = 64

const { buffer, parking, lengthBytes } = workerData as RingbufThreadData
const ring = new RingBuffer(buffer, Float64Array)
const { reader: readerParking, writer: writerParking } = openParking(parking)
const copied = new ArrayBuffer(lengthBytes * TAKE)
const elements = new Float64Array(copied)
const words = new Int32Array(copied)
const lengthWords = lengthBytes / 4
let received = 0
let checksum = 0

function hasMore(): boolean {
  return !ring.empty()
}

answerRequests<PassRequest, ReceivedReport>(({ from, count }) => {
  const goal = from + count
  while (received < goal) {
    waitUntil(hasMore, readerParking)
    const popped = (ring.pop(elements) * 2) / lengthWords
    writerParking.wake()
    for (let n = 0; n < popped; n++) {
      checksum = foldPayload(checksum, words, n * lengthWords, lengthWords, received)
      received++
    }
  }
  return { endedAt: clockMicroseconds(), received, checksum }
})

import { workerData } from 'node:worker_threads'
import { RingBuffer } from 'ringbuf.js'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { answerRequests } from '../bench-thread.ts'
import { openParking, type PassRequest, type SentReport, waitUntil } from '../channel.ts'
import { makePayload, numberPayload } from '../payload.ts'
import type { RingbufThreadData } from '../ring.ts'

const { buffer, parking, lengthBytes } = workerData as RingbufThreadData
const ring = new RingBuffer(buffer, Float64Array)
const { reader: readerParking, writer: writerParking } = openParking(parking)
const data = new ArrayBuffer(lengthBytes)
const words = makePayload(data, 0, lengthBytes)
const elements = new Float64Array(data)

/** It would take a part of a payload where there is no room for the whole. */
function hasRoom(): boolean {
  return ring.availableWrite() >= elements.length
}

answerRequests<PassRequest, SentReport>(({ from, count }) => {
  const beganAt = clockMicroseconds()
  for (let n = from; n < from + count; n++) {
    numberPayload(words, n)
    if (!hasRoom()) waitUntil(hasRoom, writerParking)
    ring.push(elements)
    readerParking.wake()
  }
  return { beganAt }
})

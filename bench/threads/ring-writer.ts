import { workerData } from 'node:worker_threads'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { SourceWriter } from '../../src/memory/source-writer.ts'
import { answerRequests } from '../bench-thread.ts'
import { openParking, type PassRequest, type SentReport, waitUntil } from '../channel.ts'
import { makePayload, numberPayload } from '../payload.ts'
import type { RingThreadData } from '../ring.ts'

const { buffer, layout, parking, lengthBytes } = workerData as RingThreadData
const memory = new SourceMemory(buffer, layout)
const writer = new SourceWriter(memory)
const { reader: readerParking, writer: writerParking } = openParking(parking)
const data = new ArrayBuffer(lengthBytes)
const words = makePayload(data, 0, lengthBytes)
const bytes = new Uint8Array(data)

function put(n: number): boolean {
  return writer.put(n & 15, n * lengthBytes, bytes, 0, lengthBytes, 0, 0)
}

function hasMoved(): boolean {
  const before = writer.acknowledged
  return writer.refresh() !== before
}

answerRequests<PassRequest, SentReport>(({ from, count }) => {
  const beganAt = clockMicroseconds()
  for (let n = from; n < from + count; n++) {
    numberPayload(words, n)
    while (!put(n)) waitUntil(hasMoved, writerParking)
    writer.publish()
    readerParking.wake()
  }
  return { beganAt }
})

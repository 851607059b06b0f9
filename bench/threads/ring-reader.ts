import { workerData } from 'node:worker_threads'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { copyOnce } from '../../src/memory/copy.ts'
import { RECORD_LENGTH, RECORD_PAYLOAD } from '../../src/memory/record.ts'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { answerRequests } from '../bench-thread.ts'
import { openParking, type PassRequest, type ReceivedReport, waitUntil } from '../channel.ts'
import { foldPayload } from '../payload.ts'
import type { RingThreadData } from '../ring.ts'

/** Records that are read before their places are given back. */
const RELEASE_EVERY = 64

const { buffer, layout, parking, lengthBytes } = workerData as RingThreadData
const memory = new SourceMemory(buffer, layout)
const { reader: readerParking, writer: writerParking } = openParking(parking)
const copied = new SharedArrayBuffer(lengthBytes)
const words = new Int32Array(copied)
const copy = { longs: new BigInt64Array(copied), bytes: Buffer.from(copied) }
const lengthWords = lengthBytes / 4
let next = memory.loadReleased()
let received = 0
let checksum = 0

/** Takes one record into this thread's memory, as a component does, and looks at it there. */
function take(): void {
  const address = memory.entries[next & memory.mask] as number
  if (memory.ints[(address >>> 2) + RECORD_LENGTH] !== lengthBytes)
    throw new Error(`record ${received} has no such length`)
  copyOnce(memory, address + RECORD_PAYLOAD * 8, lengthBytes, copy, 0)
  checksum = foldPayload(checksum, words, 0, lengthWords, received)
  received++
  next = (next + 1) | 0
}

function hasMore(): boolean {
  return memory.loadPublished() !== next
}

function release(): void {
  memory.release(next)
  writerParking.wake()
}

answerRequests<PassRequest, ReceivedReport>(({ from, count }) => {
  const goal = from + count
  while (received < goal) {
    waitUntil(hasMore, readerParking)
    const published = memory.loadPublished()
    while (next !== published) {
      take()
      if (received % RELEASE_EVERY === 0) release()
    }
    release()
  }
  return { endedAt: clockMicroseconds(), received, checksum }
})

import { workerData } from 'node:worker_threads'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { answerRequests } from '../bench-thread.ts'
import type { PassRequest, SentReport } from '../channel.ts'
import type { MessageThreadData } from '../message-channel.ts'
import { makePayload, numberPayload } from '../payload.ts'

const { port, lengthBytes } = workerData as MessageThreadData
const words = makePayload(new ArrayBuffer(lengthBytes), 0, lengthBytes)

answerRequests<PassRequest, SentReport>(({ from, count }) => {
  const beganAt = clockMicroseconds()
  for (let n = from; n < from + count; n++) {
    numberPayload(words, n)
    port.postMessage({ volume: n & 15, offset: (n & 0xffff) * lengthBytes, data: words })
  }
  return { beganAt }
})

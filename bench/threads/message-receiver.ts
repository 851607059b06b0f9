import { workerData } from 'node:worker_threads'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { answerRequests } from '../bench-thread.ts'
import type { PassRequest, ReceivedReport } from '../channel.ts'
import type { MessageThreadData } from '../message-channel.ts'
import { foldPayload } from '../payload.ts'

const { port } = workerData as MessageThreadData
let received = 0
let checksum = 0
let goal = 0
let endedAt = 0
let finish = (): void => {}

port.on('message', ({ data }: { volume: number; offset: number; data: Int32Array }) => {
  checksum = foldPayload(checksum, data, 0, data.length, received)
  received++
  if (received !== goal) return
  endedAt = clockMicroseconds()
  finish()
})

answerRequests<PassRequest, ReceivedReport>(async ({ from, count }) => {
  goal = from + count
  await new Promise<void>((resolve) => {
    finish = resolve
  })
  return { endedAt, received, checksum }
})

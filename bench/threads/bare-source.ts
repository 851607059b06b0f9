import { workerData } from 'node:worker_threads'
import { Board } from '../../src/memory/board.ts'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import type { Parking } from '../../src/memory/parking.ts'
import { FLAG_SAMPLED } from '../../src/memory/record.ts'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { SourceWriter } from '../../src/memory/source-writer.ts'
import { SAMPLE_ONE_IN } from '../../src/source.ts'
import type { BareSourceData } from '../bare/path.ts'
import { answerRequests } from '../bench-thread.ts'
import { postPaced } from '../paced.ts'
import { makePayload, numberPayload } from '../payload.ts'
import { Places, VOLUME_BYTES } from '../places.ts'
import type { PostRequest, PostResult } from '../posting.ts'

const { memory: all, index, lengthBytes } = workerData as BareSourceData
const { buffer, layout } = all.sources[index] as (typeof all.sources)[number]
const memory = new SourceMemory(buffer, layout)
const writer = new SourceWriter(memory)
const { volumes } = all.boardLayout
const parking = new Board(all.board, all.boardLayout).parking[index % all.components] as Parking
const places = new Places(volumes, VOLUME_BYTES, lengthBytes)
const data = new ArrayBuffer(lengthBytes)
const words = makePayload(data, 0, lengthBytes)
const bytes = new Uint8Array(data)
let posted = 0

function sleepUnless(isDone: () => boolean): void {
  memory.parking.prepare()
  if (isDone()) memory.parking.cancel()
  else memory.parking.sleep()
}

function post(): void {
  places.next()
  numberPayload(words, posted++)
  const sampled = posted % SAMPLE_ONE_IN === 0 ? FLAG_SAMPLED : 0
  const stamp = sampled === 0 ? 0 : clockMicroseconds() | 0
  while (!writer.put(places.volume, places.offset, bytes, 0, lengthBytes, sampled, stamp)) {
    const before = writer.acknowledged
    if (writer.refresh() === before) sleepUnless(() => memory.loadReleased() !== before)
  }
  writer.publish()
  parking.wake()
}

function flush(): void {
  const isDone = (): boolean => memory.loadReleased() === writer.next
  while (!isDone()) {
    const released = memory.loadReleased()
    sleepUnless(() => isDone() || memory.loadReleased() !== released)
  }
}

answerRequests<PostRequest, PostResult>((request) => {
  const beganAt = clockMicroseconds()
  if (request.type === 'post') for (let n = 0; n < request.count; n++) post()
  else postPaced(post, request.perSecond, request.forMs)
  flush()
  return { beganAt, endedAt: clockMicroseconds(), posted }
})

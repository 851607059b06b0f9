/** Publishes updates to a stream of NATS JetStream, a number of them not acknowledged yet. */
import { workerData } from 'node:worker_threads'
import { DiscardPolicy, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect, createInbox, type Msg } from '@nats-io/transport-node'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { answerRequests } from '../bench-thread.ts'
import { makePayload, numberPayload } from '../payload.ts'
import type { JetStreamThreadData } from '../peers/jetstream.ts'
import type { StreamReport, StreamRequest } from '../peers/served-stream.ts'

const STREAM = 'updates'
/** A power of two. */
const OUTSTANDING = 256
const VOLUMES = 16
const PLACES = 2 ** 16
/** In front of the data: the offset, a float64. The subject names the volume. */
const HEADER_BYTES = 8

const { port, lengthBytes, keptBytes } = workerData as JetStreamThreadData
// A server that is gone is an error, not one to be connected to again.
const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false })
void connection.closed().then((error) => {
  throw error ?? new Error('the connection to nats-server was closed')
})
const manager = await jetstreamManager(connection)
await manager.streams.add({
  name: STREAM,
  subjects: [`${STREAM}.*`],
  storage: StorageType.Memory,
  discard: DiscardPolicy.Old,
  max_bytes: keptBytes
})

const subjects = Array.from({ length: VOLUMES }, (_, volume) => `${STREAM}.${volume}`)
// As many as can be on the way, in turn: acknowledgements come in the order of what was published.
const messages = Array.from({ length: OUTSTANDING }, () => {
  const memory = new ArrayBuffer(HEADER_BYTES + lengthBytes)
  const words = makePayload(memory, HEADER_BYTES, lengthBytes)
  return { offset: new Float64Array(memory, 0, 1), words, bytes: new Uint8Array(memory) }
})
const reply = createInbox()

let next = 0
/** Where the request ends that is worked on. */
let end = 0
let acknowledged = 0
let request = Promise.withResolvers<void>()

connection.subscribe(reply, {
  callback: (error, message) => {
    try {
      if (error !== null) throw error
      checkAcknowledgement(message)
      if (next < end) publishNext()
      if (acknowledged === end) request.resolve()
    } catch (found) {
      request.reject(found)
    }
  }
})

function checkAcknowledgement(message: Msg): void {
  const { seq, error } = message.json<{ seq?: number; error?: unknown }>()
  acknowledged++
  if (error !== undefined || seq !== acknowledged) throw new Error(`update ${acknowledged}: ${message.string()}`)
}

function publishNext(): void {
  const { offset, words, bytes } = messages[next % OUTSTANDING] as (typeof messages)[number]
  offset[0] = (Math.floor(next / VOLUMES) % PLACES) * lengthBytes
  numberPayload(words, next)
  connection.publish(subjects[next % VOLUMES] as string, bytes, { reply })
  next++
}

async function post(count: number): Promise<{ beganAt: number; endedAt: number }> {
  request = Promise.withResolvers<void>()
  const beganAt = clockMicroseconds()
  end = next + count
  while (next < Math.min(end, acknowledged + OUTSTANDING)) publishNext()
  await request.promise
  return { beganAt, endedAt: clockMicroseconds() }
}

answerRequests<StreamRequest, StreamReport>(async (asked) => {
  if (asked.type === 'post') return { ...(await post(asked.count)), counts: [] }
  const { state } = await manager.streams.info(STREAM)
  return { beganAt: 0, endedAt: 0, counts: [{ server: 'nats-server', updates: state.last_seq }] }
})

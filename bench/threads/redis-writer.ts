/** Posts updates to a stream of Redis, in pipelines. */
import { workerData } from 'node:worker_threads'
import { createClient } from 'redis'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { answerRequests } from '../bench-thread.ts'
import { makePayload, numberPayload } from '../payload.ts'
import type { RedisThreadData } from '../peers/redis-stream.ts'
import type { StreamReport, StreamRequest } from '../peers/served-stream.ts'

const KEY = 'updates'
const PIPELINE_COMMANDS = 64
/** On the way at a time: one is made while the other is answered. */
const PIPELINES = 2
const VOLUMES = 16
const PLACES = 2 ** 16
/** Longer than the replica takes for all of a sample; without one, the reply is 0. */
const REPLICA_TIMEOUT_MS = 30_000

const { primarySocket, replicaSocket, lengthBytes, keptEntries } = workerData as RedisThreadData
const primary = await connect(primarySocket)
const replica = await connect(replicaSocket)
const trim = { TRIM: { strategy: 'MAXLEN', strategyModifier: '~', threshold: keptEntries } } as const
// Each has payloads of its own: they are not copied before they are sent.
const pipelines = Array.from({ length: PIPELINES }, () => Array.from({ length: PIPELINE_COMMANDS }, makeData))

/** A server that is gone is an error, not one to be connected to again. */
function connect(socketPath: string) {
  const client = createClient({ socket: { path: socketPath, reconnectStrategy: false } })
  client.on('error', (error) => {
    throw error
  })
  return client.connect()
}

function makeData(): { words: Int32Array; bytes: Buffer } {
  const memory = new ArrayBuffer(lengthBytes)
  return { words: makePayload(memory, 0, lengthBytes), bytes: Buffer.from(memory) }
}

async function post(from: number, count: number): Promise<{ beganAt: number; endedAt: number }> {
  const beganAt = clockMicroseconds()
  let next = from
  const postPipelines = async (payloads: ReturnType<typeof makeData>[]): Promise<void> => {
    while (next < from + count) {
      const commands = primary.multi()
      for (const { words, bytes } of payloads.slice(0, from + count - next)) {
        numberPayload(words, next)
        const volume = next % VOLUMES
        const offset = (Math.floor(next / VOLUMES) % PLACES) * lengthBytes
        commands.xAdd(KEY, '*', { volume: String(volume), offset: String(offset), data: bytes }, trim)
        next++
      }
      // Without MULTI and EXEC around them. Rejects where a reply is an error.
      await commands.execAsPipeline()
    }
  }
  await Promise.all(pipelines.map(postPipelines))
  return { beganAt, endedAt: clockMicroseconds() }
}

/** So that what the replica is behind with does not take cores from who is measured next. */
async function untilReplicated(): Promise<void> {
  const replicas = await primary.wait(1, REPLICA_TIMEOUT_MS)
  if (replicas !== 1) throw new Error(`${replicas} replicas have what was posted ${REPLICA_TIMEOUT_MS} ms ago`)
}

async function counted(client: typeof primary): Promise<number> {
  return (await client.xInfoStream(KEY))['entries-added']
}

// There is a link to the replica once it has acknowledged the first command that is for both.
await primary.del(KEY)
await untilReplicated()

answerRequests<StreamRequest, StreamReport>(async (request) => {
  if (request.type === 'post') {
    const times = await post(request.from, request.count)
    await untilReplicated()
    return { ...times, counts: [] }
  }
  const counts = [
    { server: 'the primary', updates: await counted(primary) },
    { server: 'the replica', updates: await counted(replica) }
  ]
  return { beganAt: 0, endedAt: 0, counts }
})

import type { Peer } from './peer.ts'
import type { Program } from './program.ts'
import { KEPT_BYTES, ServedStream } from './served-stream.ts'
import { ServerProcess } from './server-process.ts'

export interface JetStreamThreadData {
  readonly port: number
  readonly lengthBytes: number
  readonly keptBytes: number
}

/**
 *      thread --TCP--> nats-server, a stream in its memory
 *             <-- acknowledgement --
 *
 * An update counts when it is acknowledged. One server: there is no second copy.
 */
export const JETSTREAM: Peer = {
  name: 'NATS JetStream',
  program: 'nats-server',
  install: 'apt-get install nats-server, which puts it into /usr/sbin',
  oldest: 2,
  open: openJetStream
}

/** It chooses a port itself and tells it. */
const READY = /Listening for client connections on 127\.0\.0\.1:(\d+).*Server is ready/s

async function openJetStream({ file }: Program, lengthBytes: number): Promise<ServedStream> {
  const server = await ServerProcess.start({
    file,
    args: (directory) => ['-a', '127.0.0.1', '-p', '-1', '-js', '-sd', directory],
    ready: READY
  })
  const data: JetStreamThreadData = { port: Number(server.ready[1]), lengthBytes, keptBytes: KEPT_BYTES }
  return new ServedStream(JETSTREAM.name, lengthBytes, [server], 'jetstream-publisher', data)
}

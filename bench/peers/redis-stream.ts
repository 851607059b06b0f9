import { createServer } from 'node:net'
import path from 'node:path'
import type { Peer } from './peer.ts'
import type { Program } from './program.ts'
import { KEPT_BYTES, ServedStream } from './served-stream.ts'
import { ServerProcess } from './server-process.ts'

export interface RedisThreadData {
  readonly primarySocket: string
  readonly replicaSocket: string
  readonly lengthBytes: number
  readonly keptEntries: number
}

/**
 *      thread --unix socket--> redis-server --TCP, when it likes--> redis-server, its replica
 *             <--- reply ---
 *
 * An update counts when its reply has come; the replica may not have it yet.
 */
export const REDIS_STREAM: Peer = {
  name: 'Redis stream',
  program: 'redis-server',
  install: 'apt-get install redis-server',
  // `entries-added` of XINFO STREAM.
  oldest: 7,
  open: openRedisStream
}

/** Nothing goes to a disk; a replica is given its first copy at once rather than after 5 s. */
const IN_MEMORY = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0']
/** Of the socket, which it tells after the port. Since 7.2 the words are others. */
const READY = /ready to accept connections (at|unix)/i
const SOCKET = 'redis.sock'
const START_ATTEMPTS = 3

async function openRedisStream({ file }: Program, lengthBytes: number): Promise<ServedStream> {
  const { primary, port } = await startPrimary(file)
  try {
    const replica = await ServerProcess.start({
      file,
      args: (directory) => [...listening(directory, 0), ...IN_MEMORY, '--replicaof', '127.0.0.1', String(port)],
      ready: READY
    })
    const data: RedisThreadData = {
      primarySocket: path.join(primary.directory, SOCKET),
      replicaSocket: path.join(replica.directory, SOCKET),
      lengthBytes,
      keptEntries: KEPT_BYTES / lengthBytes
    }
    return new ServedStream(REDIS_STREAM.name, lengthBytes, [replica, primary], 'redis-writer', data)
  } catch (error) {
    await primary.end()
    throw error
  }
}

/** The port is for the replica, which knows no other way. Another program may take it before Redis does. */
async function startPrimary(file: string): Promise<{ primary: ServerProcess; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const args = (directory: string): string[] => [...listening(directory, port), ...IN_MEMORY]
    try {
      return { primary: await ServerProcess.start({ file, args, ready: READY }), port }
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error
    }
  }
}

/** @param port  0: a socket in its directory only */
function listening(directory: string, port: number): string[] {
  return ['--bind', '127.0.0.1', '--port', String(port), '--unixsocket', path.join(directory, SOCKET)]
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port)
        else reject(new Error('the system chose no port'))
      })
    })
  })
}

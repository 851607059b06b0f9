import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import type { FenceTask } from './fence-thread.ts'

const ENDS = 40

/**
 * What components rest on (docs/decisions/0015-the-fence.md): when the runtime has closed a thread's port, the thread writes
 * nothing any more, though it has not exited yet.
 */
describe('a port that nobody closes', () => {
  test.each(['spins', 'sleeps', 'exits', 'throws'] as const)(
    'is closed after the last statement of a thread that %s, and before that exits',
    async (how) => {
      let wroteOn = 0
      let closedFirst = 0
      for (let end = 0; end < ENDS; end++) {
        const counter = new SharedArrayBuffer(64)
        const words = new Int32Array(counter)
        const { port1, port2 } = new MessageChannel()
        const workerData: FenceTask = { counter, port: port2, how }
        const worker = new Worker(new URL('./fence-thread.ts', import.meta.url), {
          workerData,
          transferList: [port2],
          execArgv: []
        })
        worker.on('error', (error) => expect(error.message).toBe('as asked'))
        let hasExited = false
        const exited = new Promise<void>((resolve) => {
          worker.once('exit', () => {
            hasExited = true
            resolve()
          })
        })
        const closed = once(port1, 'close')
        await once(port1, 'message')
        if (how === 'exits' || how === 'throws') Atomics.store(words, 2, 1)
        else void worker.terminate()
        const asked = words[0] as number
        await closed
        const atClose = words[0] as number
        if (!hasExited) closedFirst++
        await exited
        expect(words[0]).toBe(atClose)
        if (asked !== atClose) wroteOn++
      }
      // The test could fail: the thread does write after it was told to end, and the port is closed first.
      expect(wroteOn).toBeGreaterThan(0)
      expect(closedFirst).toBeGreaterThan(ENDS / 2)
    },
    60_000
  )
})

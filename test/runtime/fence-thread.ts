/** Writes to shared memory without a pause, until it ends. */
import { type MessagePort, workerData } from 'node:worker_threads'

export interface FenceTask {
  readonly counter: SharedArrayBuffer
  readonly port: MessagePort
  readonly how: 'spins' | 'sleeps' | 'exits' | 'throws'
}

const { counter, port, how } = workerData as FenceTask
const words = new Int32Array(counter)
// So that the engine has something to give back after the thread's last statement.
const kept = Array.from({ length: 100_000 }, (_, n) => ({ n }))
port.unref()
port.postMessage('runs')
for (;;) {
  for (let n = 0; n < 10_000; n++) words[0] = (words[0] as number) + 1
  if (how === 'sleeps') Atomics.wait(words, 1, 0, 1)
  if (Atomics.load(words, 2) === 0) continue
  if (how === 'exits') process.exit(kept.length % 2)
  if (how === 'throws') throw new Error('as asked')
}

import { parentPort, workerData } from 'node:worker_threads'
import { attachSource, type SourcePort, TidemarkError } from '../../src/index.ts'

/** What a test asks of a thread of the host that has a source. */
export type WriterTask =
  | { readonly kind: 'one write' }
  | { readonly kind: 'attach twice' }
  /** Writes numbers to all blocks of `volume`, round after round, until told to stop; tells what it wrote last. */
  | { readonly kind: 'never pause'; readonly blockBytes: number; readonly blocks: number }
  /** The same, so many blocks a second, as far as the group takes them. */
  | {
      readonly kind: 'steady'
      readonly blockBytes: number
      readonly blocks: number
      readonly perSecond: number
    }
  /** Writes 1, 2, 3 ... to `volumes`, each awaited, until told to stop; tells the last number. */
  | { readonly kind: 'count'; readonly volumes: readonly string[]; readonly offset: number }

const { port, volume, task } = workerData as { port: SourcePort; volume: string; task: WriterTask }

async function run(): Promise<unknown> {
  const source = attachSource(port)
  const writer = source.volume(volume)
  switch (task.kind) {
    case 'one write':
      return writer.write(0, Buffer.from('from a thread'))
    case 'attach twice':
      try {
        attachSource(port)
        return 'attached'
      } catch (error) {
        return error instanceof TidemarkError ? error.code : String(error)
      }
    case 'never pause':
      return neverPause(task.blockBytes, task.blocks)
    case 'steady':
      return neverPause(task.blockBytes, task.blocks, task.perSecond)
    case 'count':
      return count(task.volumes, task.offset)
  }

  async function count(volumes: readonly string[], offset: number): Promise<bigint> {
    const stop = new Int32Array(workerData.stop as SharedArrayBuffer)
    const value = Buffer.alloc(8)
    let last = 0n
    while (stop[0] === 0) {
      value.writeBigUInt64LE(++last)
      for (const name of volumes) await source.volume(name).write(offset, value)
    }
    return last
  }

  function neverPause(
    blockBytes: number,
    blocks: number,
    perSecond = Number.POSITIVE_INFINITY
  ): { written: number; longestMs: number } {
    const stop = new Int32Array(workerData.stop as SharedArrayBuffer)
    const started = performance.now()
    const data = new Uint32Array(blockBytes / 4)
    let written = 0
    let longestMs = 0
    while (stop[0] === 0) {
      data.fill(written + 1)
      const began = performance.now()
      writer.postSync((written % blocks) * blockBytes, data)
      longestMs = Math.max(longestMs, performance.now() - began)
      written++
      const aheadMs = (written / perSecond) * 1000 - (performance.now() - started)
      if (aheadMs > 2) Atomics.wait(stop, 0, 0, aheadMs)
    }
    source.flushSync()
    return { written, longestMs }
  }
}

run().then((answer) => parentPort?.postMessage(answer))

import { workerData } from 'node:worker_threads'
import { Random } from '../../src/sim/random.ts'
import { attachSource } from '../../src/source.ts'
import { answerRequests } from '../bench-thread.ts'
import { type FullMemorySourceResult, type FullMemoryThreadData, OWN_BYTES } from '../failover/full-memory.ts'
import { SourceGauges } from '../failover/source-gauges.ts'

/** Posts as fast as there is room, and keeps what its part of each volume must hold. */
const setting = workerData as FullMemoryThreadData
const source = attachSource(setting.port)
const writers = setting.volumes.map((name) => source.volume(name))
const gauges = new SourceGauges(setting.gauges)
const random = new Random(setting.seed)
/** Goes as one record whatever the memory: it is counted as one update. */
const LARGEST_BYTES = 900
const SMALLEST_BYTES = 4
const noise = Uint8Array.from({ length: 64 * 1024 }, () => random.below(256))

function write(): FullMemorySourceResult {
  const model = writers.map(() => new Uint8Array(OWN_BYTES))
  let updates = 0
  let bytes = 0
  while (!gauges.isStopping) {
    const volume = random.below(writers.length)
    const length = random.between(SMALLEST_BYTES, LARGEST_BYTES)
    const offset = random.below(OWN_BYTES - length)
    const from = random.below(noise.length - length)
    const data = noise.subarray(from, from + length)
    writers[volume]?.postSync(setting.source * OWN_BYTES + offset, data)
    model[volume]?.set(data, offset)
    bytes += length
    gauges.storePosted(setting.source, ++updates)
  }
  source.flushSync()
  return { updates, bytes, model }
}

answerRequests<'write', FullMemorySourceResult>(write)

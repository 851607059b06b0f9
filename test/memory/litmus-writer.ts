/** Fills a source's ring as fast as it can until it is told to stop, or terminated. */
import { workerData } from 'node:worker_threads'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { SourceWriter } from '../../src/memory/source-writer.ts'
import { Random } from '../../src/sim/random.ts'
import { checksum, type RecordTask, readerParking, SHORTEST, STOP, WRITING } from './litmus.ts'

const task = workerData as RecordTask
const memory = new SourceMemory(task.memory, task.layout)
const control = new Int32Array(task.control)
const reader = readerParking(control)
const random = new Random(task.seed)
const writer = new SourceWriter(memory)

function putOne(): boolean {
  const position = writer.next >>> 0
  const volume = random.below(100)
  const offset = random.below(2 ** 31)
  const payload = Buffer.alloc(random.between(SHORTEST, 150), position)
  payload.writeInt32LE(task.incarnation, 4)
  payload.writeInt32LE(checksum(volume, offset, position, payload), 0)
  return writer.put(volume, offset, payload, 0, payload.length, 0, 0)
}

Atomics.store(control, WRITING, task.incarnation)
Atomics.notify(control, WRITING)
while (Atomics.load(control, STOP) === 0) {
  const before = writer.next
  for (let n = random.between(1, 5); n > 0 && putOne(); n--) {
    // Some batches are taken back.
    if (!random.chance(10)) continue
    writer.mark()
    putOne()
    writer.rollback()
  }
  const isFull = writer.next === before
  writer.publish()
  reader.wake()
  if (!isFull) continue
  const { acknowledged } = writer
  memory.parking.prepare()
  // The reader may be one that is being replaced: not for ever.
  if (writer.refresh() === acknowledged) memory.parking.sleep(20)
  memory.parking.cancel()
}

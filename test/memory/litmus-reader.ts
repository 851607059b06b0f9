/** Checks every record of a source's ring and releases it, until it is told to stop and all is read, or terminated. */
import { workerData } from 'node:worker_threads'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { Random } from '../../src/sim/random.ts'
import {
  CHECKED,
  checkRecord,
  HOLD,
  LONGEST,
  REACHED,
  READING,
  REPEATED,
  type RecordTask,
  readerParking,
  SEEN,
  STOP
} from './litmus.ts'

const task = workerData as RecordTask
const memory = new SourceMemory(task.memory, task.layout)
const control = new Int32Array(task.control)
const parking = readerParking(control)
const seen = new Int32Array(task.seen)
const random = new Random(task.seed)

let ordinal = memory.loadReleased()
let published = ordinal
let incarnation = 0
if (ordinal > (control[CHECKED] as number))
  throw new Error(`released up to ${ordinal}, checked up to ${control[CHECKED]}`)

function readOne(): void {
  const record = checkRecord(memory, ordinal)
  if (record.incarnation < incarnation)
    throw new Error(`entry ${ordinal} is of writer ${record.incarnation}, after ${incarnation}`)
  incarnation = record.incarnation
  const at = ordinal & (SEEN - 1)
  if (ordinal < (control[CHECKED] as number)) {
    Atomics.add(control, REPEATED, 1)
    if (seen[at] !== record.sum) throw new Error(`entry ${ordinal} is another record than it was before`)
  } else {
    seen[at] = record.sum
    Atomics.store(control, CHECKED, ordinal + 1)
    if (ordinal + 1 === task.goal) {
      Atomics.store(control, REACHED, 1)
      Atomics.notify(control, REACHED)
    }
  }
  ordinal++
}

Atomics.store(control, READING, task.incarnation)
Atomics.notify(control, READING)
for (;;) {
  Atomics.wait(control, HOLD, 1)
  const stopping = Atomics.load(control, STOP) === 2
  const now = memory.loadPublished()
  if (now < published) throw new Error(`published went back from ${published} to ${now}`)
  published = now
  if (published - ordinal > (control[LONGEST] as number)) Atomics.store(control, LONGEST, published - ordinal)
  // Not all of it is released each time.
  const upTo = random.chance(3) ? published : Math.min(published, ordinal + random.between(1, 3))
  while (ordinal < upTo) readOne()
  if (memory.loadReleased() !== ordinal) {
    memory.release(ordinal)
    memory.parking.wake()
    continue
  }
  if (stopping) break
  parking.prepare()
  if (memory.loadPublished() === ordinal && Atomics.load(control, STOP) !== 2) parking.sleep(20)
  parking.cancel()
}

/** One of two threads that meet in each round: the sleeper says that it parks and looks, the waker publishes and looks. */
import { workerData } from 'node:worker_threads'
import { type DekkerTask, openRings } from './litmus.ts'

const task = workerData as DekkerTask
const { rings, parkings } = openRings(task)
const [ring] = rings
const [place] = parkings
const meeting = new Int32Array(task.meeting)
const outcomes = new Uint8Array(task.outcomes)
if (ring === undefined || place === undefined) throw new Error('no ring')

let met = 0
function meet(): void {
  met++
  Atomics.store(meeting, task.self * 32, met)
  while (Atomics.load(meeting, (1 - task.self) * 32) < met) {
    // Both go on at the same instant.
  }
}

for (let round = 1; round <= task.messages; round++) {
  meet()
  if (task.self === 0) {
    place.prepare()
    if (ring.loadPublished() === round) Atomics.or(outcomes, round, 1)
  } else {
    ring.publish(round)
    if (place.isParked()) Atomics.or(outcomes, round, 2)
  }
  meet()
  if (task.self === 0) place.cancel()
}

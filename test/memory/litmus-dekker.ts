/** One of two threads that meet in each round: the sleeper says that it parks and looks, the waker publishes and looks. */
import { workerData } from 'node:worker_threads'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { type DekkerTask, openRings } from './litmus.ts'

const task = workerData as DekkerTask
const { rings, parkings } = openRings(task)
const [ring] = rings
const [place] = parkings
const meeting = new Int32Array(task.meeting)
const outcomes = new Uint8Array(task.outcomes)
if (ring === undefined || place === undefined) throw new Error('no ring')
const source = task.source && new SourceMemory(task.source.buffer, task.source.layout)

/** Whether what is published in this round was seen, after it was said that we sleep. */
function sleeps(round: number): boolean {
  if (source !== undefined) source.doze()
  else place?.prepare()
  return (source ?? ring)?.loadPublished() === round
}

/** Whether there is somebody to be woken. */
function wakes(round: number): boolean {
  if (source !== undefined) return source.publish(round)
  ring?.publish(round)
  return place?.isParked() === true
}

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
    if (sleeps(round)) Atomics.or(outcomes, round, 1)
  } else if (wakes(round)) Atomics.or(outcomes, round, 2)
  meet()
  // What was said is not to be found in the next round.
  if (task.self === 0) place.cancel()
  else source?.publish(round)
}

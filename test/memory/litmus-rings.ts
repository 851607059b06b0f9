/** A sender or the receiver of litmus.test.ts's rings: never spins, sleeps without a timeout. */
import { workerData } from 'node:worker_threads'
import type { EntryRing } from '../../src/memory/entry-ring.ts'
import type { Parking } from '../../src/memory/parking.ts'
import { Random } from '../../src/sim/random.ts'
import { openRings, type RingsTask, sleepUntil } from './litmus.ts'

const task = workerData as RingsTask
const { rings, parkings } = openRings(task)
const { senders, messages, self } = task
const own = parkings[self] as Parking
const back = rings[senders] as EntryRing
const random = new Random(self + 1)

function hasRoom(ring: EntryRing): boolean {
  return ring.loadPublished() - ring.loadReleased() < ring.capacity
}
function put(ring: EntryRing, value: number): void {
  const head = ring.loadPublished()
  ring.entries[head & ring.mask] = value
  ring.publish(head + 1)
}
function get(ring: EntryRing, expected: number): void {
  const tail = ring.loadReleased()
  const value = ring.entries[tail & ring.mask]
  if (value !== expected) throw new Error(`message ${tail} is ${value}, expected ${expected}`)
  ring.release(tail + 1)
}

function send(): void {
  const ring = rings[self] as EntryRing
  const receiver = parkings[senders] as Parking
  let sent = 0
  let answered = 0
  while (answered < messages) {
    const burst = Math.min(random.between(1, ring.capacity), messages - sent)
    for (let n = 0; n < burst; n++) {
      sleepUntil(own, () => hasRoom(ring))
      put(ring, ++sent)
      receiver.wake()
    }
    if (!task.answers) {
      answered = sent
      continue
    }
    while (answered < sent) {
      sleepUntil(own, () => back.loadPublished() > answered)
      get(back, -++answered)
      receiver.wake()
    }
  }
}

function receive(): void {
  const received = new Array<number>(senders).fill(0)
  const hasMail = (): boolean => rings.some((ring, n) => n < senders && ring.loadPublished() > (received[n] as number))
  for (let left = senders * messages; left > 0; ) {
    sleepUntil(own, hasMail)
    for (let n = 0; n < senders; n++) {
      const ring = rings[n] as EntryRing
      while (ring.loadPublished() > (received[n] as number)) {
        const count = (received[n] as number) + 1
        get(ring, count)
        received[n] = count
        left--
        if (task.answers) {
          sleepUntil(own, () => hasRoom(back))
          put(back, -count)
        }
        parkings[n]?.wake()
      }
    }
  }
}

if (self === senders) receive()
else send()

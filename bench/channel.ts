import { Parking } from '../src/memory/parking.ts'

/** What the threads at both ends of a one-way channel are asked: to pass the payloads `from` to `from + count - 1`. */
export interface PassRequest {
  readonly from: number
  readonly count: number
}

/** Microseconds by the clock that all threads share. */
export interface SentReport {
  readonly beganAt: number
}

export interface ReceivedReport {
  readonly endedAt: number
  /** Since the thread began. */
  readonly received: number
  readonly checksum: number
}

/** Turns in which an end of a ring finds nothing before it sleeps: some microseconds. The same for every ring. */
const SPINS = 300

/** Waits until `isReady` has said yes, which it may say once only: spins briefly, then sleeps on `parking` until woken. */
export function waitUntil(isReady: () => boolean, parking: Parking): void {
  for (let spin = 0; spin < SPINS; spin++) if (isReady()) return
  for (;;) {
    parking.prepare()
    if (isReady()) {
      parking.cancel()
      return
    }
    parking.sleep()
  }
}

/** A place to sleep for each end of a ring that brings none of its own. */
export const PARKING_BYTES = 256

export function openParking(memory: SharedArrayBuffer): { reader: Parking; writer: Parking } {
  const words = new Int32Array(memory)
  return { reader: new Parking(words, 0), writer: new Parking(words, 32) }
}

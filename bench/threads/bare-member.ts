import { setTimeout as pause } from 'node:timers/promises'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { parkingIn } from '../../src/memory/parking.ts'
import { warmUp } from '../../src/runtime/warm-up.ts'
import type { BareMemberData, BareRequest } from '../failover/bare-failover.ts'

/** As large as an update of the row that this is beside, its header included. */
const PIECE_BYTES = 4152
/** As a component's thread does it (src/runtime/component-thread.ts). */
const SETTLING_MS = 20

const { bed, arena, port } = workerData as BareMemberData
const own = Buffer.from(arena)
const parking = parkingIn(bed)
warmUp()
await pause(SETTLING_MS)
port.unref()
port.postMessage('warm')
// Until it is terminated.
for (;;) {
  parking.prepare()
  const got = receiveMessageOnPort(port)
  if (got === undefined) {
    parking.sleep()
    continue
  }
  parking.cancel()
  const { copy } = got.message as BareRequest
  if (copy !== undefined) {
    const to = Buffer.from(copy.to)
    const end = copy.from + copy.bytes
    for (let at = copy.from; at < end; at += PIECE_BYTES) own.copy(to, at, at, Math.min(at + PIECE_BYTES, end))
  }
  port.postMessage('done')
}

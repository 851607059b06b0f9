import { setTimeout as pause } from 'node:timers/promises'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { parkingIn } from '../../src/memory/parking.ts'
import { SETTLING_MS, warmUp } from '../../src/runtime/warm-up.ts'
import type { BareMemberData, BareRequest } from '../failover/bare-failover.ts'

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
    const { from, bytes, pieceBytes } = copy
    const to = Buffer.from(copy.to)
    const end = from + bytes
    for (let at = from; at < end; at += pieceBytes) own.copy(to, at, at, Math.min(at + pieceBytes, end))
  }
  port.postMessage('done')
}

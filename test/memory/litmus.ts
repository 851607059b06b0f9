/**
 * What the litmus threads and their tests share. A record can be checked by itself: its payload begins with a checksum over
 * header and bytes, and tells by which writer (incarnation) it was written.
 */
import type { Worker } from 'node:worker_threads'
import { EntryRing, entryRingBytes } from '../../src/memory/entry-ring.ts'
import { PARKING_INTS, Parking } from '../../src/memory/parking.ts'
import {
  HEADER_BYTES,
  RECORD_BYTES,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_POSITION,
  RECORD_VOLUME
} from '../../src/memory/record.ts'
import type { SourceLayout, SourceMemory } from '../../src/memory/source-memory.ts'

/** Words of the memory in which test and threads talk; the reader sleeps in the parking behind them. */
export const STOP = 0
/** Incarnation of the writer, and of the reader, that has begun to work. */
export const WRITING = 1
export const READING = 2
/** The ordinal up to which all records were read whole and right, and how many of them were read again. */
export const CHECKED = 3
export const REPEATED = 4
/** Records of the longest batch that was in flight. */
export const LONGEST = 5
/** 1 when `goal` records have been checked. */
export const REACHED = 6
/** 1 while the reader reads no further. */
export const HOLD = 7
const READER_PARKING = PARKING_INTS
export const CONTROL_BYTES = 2 * PARKING_INTS * 4

/** For so many ordinals the checksum that a reader has seen is kept; more than are ever in flight. */
export const SEEN = 4096

export interface RecordTask {
  memory: SharedArrayBuffer
  layout: SourceLayout
  control: SharedArrayBuffer
  seen: SharedArrayBuffer
  incarnation: number
  seed: number
  /** Records to be checked at least before the test ends. */
  goal: number
}

export function readerParking(control: Int32Array<SharedArrayBuffer>): Parking {
  return new Parking(control, READER_PARKING)
}

/** The shortest payload: checksum and incarnation. */
export const SHORTEST = 8

function mix(sum: number, word: number): number {
  const mixed = Math.imul(sum ^ word, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

export function checksum(volume: number, offset: number, position: number, payload: Uint8Array): number {
  let sum = mix(mix(mix(payload.length, volume), position), offset)
  for (let n = 4; n < payload.length; n++) sum = mix(sum, payload[n] as number)
  return sum
}

/** Throws when the record of this ordinal is not one whole record. Returns its checksum and who wrote it. */
export function checkRecord(memory: SourceMemory, ordinal: number): { sum: number; incarnation: number } {
  const at = memory.entries[ordinal & memory.mask] as number
  const [i, f] = [at >>> 2, at >>> 3]
  const length = memory.ints[i + RECORD_LENGTH] as number
  const bytes = memory.ints[i + RECORD_BYTES] as number
  const position = memory.floats[f + RECORD_POSITION] as number
  const what = `entry ${ordinal} at ${at}: position ${position}, ${length} bytes in ${bytes}`
  if (position !== ordinal >>> 0) throw new Error(`not the record of this ordinal: ${what}`)
  if (length < SHORTEST || bytes < HEADER_BYTES + length || at + bytes > memory.bodyBytes) {
    throw new Error(`a torn header: ${what}`)
  }
  const payload = Buffer.from(memory.bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length))
  const offset = memory.floats[f + RECORD_OFFSET] as number
  const sum = checksum(memory.ints[i + RECORD_VOLUME] as number, offset, position, payload)
  if (sum !== payload.readInt32LE(0)) throw new Error(`a torn record: ${what}`)
  return { sum, incarnation: payload.readInt32LE(4) }
}

/** Several senders and one receiver, each asleep whenever it has nothing to do, with no timeout. */
export interface RingsTask {
  buffer: SharedArrayBuffer
  senders: number
  capacity: number
  /** Messages of each sender. */
  messages: number
  /** The sender's number; the receiver's is `senders`. */
  self: number
  /** The receiver answers through a ring back to the only sender, which awaits the answers before it goes on. */
  answers: boolean
}

/** `messages` is the number of rounds; by round what was found: 1 the sleeper the message, 2 the waker the sleeper. */
export interface DekkerTask extends RingsTask {
  meeting: SharedArrayBuffer
  outcomes: SharedArrayBuffer
  /** Of a source: the sleeper is its component, which says it in the word that the source publishes with. */
  source: { readonly buffer: SharedArrayBuffer; readonly layout: SourceLayout } | undefined
}

export interface Rings {
  /** One of each sender to the receiver, and the one back. */
  readonly rings: readonly EntryRing[]
  /** One of each sender, and the receiver's. */
  readonly parkings: readonly Parking[]
}

export function openRings({ buffer, senders, capacity }: RingsTask): Rings {
  const words = new Int32Array(buffer, 0, (senders + 1) * PARKING_INTS)
  const ringsAt = words.byteLength
  return {
    parkings: Array.from({ length: senders + 1 }, (_, n) => new Parking(words, n * PARKING_INTS)),
    rings: Array.from(
      { length: senders + 1 },
      (_, n) => new EntryRing(buffer, ringsAt + n * entryRingBytes(capacity), capacity)
    )
  }
}

export function ringsBytes(senders: number, capacity: number): number {
  return (senders + 1) * (PARKING_INTS * 4 + entryRingBytes(capacity))
}

export function describeRings({ rings, parkings }: Rings): string {
  const cursors = rings.map((ring) => `${ring.loadReleased()}..${ring.loadPublished()}`)
  return `rings ${cursors.join(', ')}; parked ${parkings.map((parking) => parking.isParked()).join(', ')}`
}

/** Sleeps until `ready`, without a timeout: a wake that is lost hangs. */
export function sleepUntil(parking: Parking, ready: () => boolean): void {
  while (!ready()) {
    parking.prepare()
    if (ready()) {
      parking.cancel()
      return
    }
    parking.sleep()
  }
}

/** Its end: resolves with the exit code, rejects with what it threw. */
export function endOf(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', resolve)
  })
}

/**
 * One source's ring, two threads, nothing else: what the memory layer can do at best.
 */
import { RingBuffer } from 'ringbuf.js'
import { type SourceLayout, SourceMemory, sourceLayout } from '../src/memory/source-memory.ts'
import { PARKING_BYTES } from './channel.ts'
import type { Check } from './checks.ts'
import { measureRates, type Rate } from './measure.ts'
import { openMessages } from './message-channel.ts'
import { OneWay } from './one-way.ts'
import type { Suite, SuiteSettings } from './suite.ts'
import { RATE_CELLS, rateCells, size, table } from './table.ts'

const TOPOLOGY = `
      writer (thread)                                        reader (thread)
      put, publish  --->  [ ring of records, 4 MiB ]  --->  copy out, check, release

      tidemark      SourceWriter and SourceMemory: records of variable length with a header of 56 bytes
      ringbuf.js    RingBuffer of float64 elements, payloads of one size without a header, taken out up to 64 at once
      postMessage   { volume, offset, data } a message, port.on('message')

  Both rings publish every update, and both ends of both spin briefly, then sleep on Atomics.wait in the same way.
`

export interface RingThreadData {
  readonly buffer: SharedArrayBuffer
  readonly layout: SourceLayout
  readonly parking: SharedArrayBuffer
  readonly lengthBytes: number
}

export interface RingbufThreadData {
  readonly buffer: SharedArrayBuffer
  readonly parking: SharedArrayBuffer
  readonly lengthBytes: number
}

export interface RingResult {
  readonly lengthBytes: number
  readonly rates: Rate[]
}

/** What a source gets by default. */
const RING_BYTES = 4 * 2 ** 20

function openTidemark(lengthBytes: number): OneWay {
  const layout = sourceLayout(RING_BYTES)
  const data: RingThreadData = {
    buffer: SourceMemory.allocate(layout),
    layout,
    parking: new SharedArrayBuffer(PARKING_BYTES),
    lengthBytes
  }
  return new OneWay('tidemark', lengthBytes, { file: 'ring-writer', data }, { file: 'ring-reader', data })
}

function openRingbuf(lengthBytes: number): OneWay {
  const data: RingbufThreadData = {
    buffer: RingBuffer.getStorageForCapacity(RING_BYTES / 8, Float64Array),
    parking: new SharedArrayBuffer(PARKING_BYTES),
    lengthBytes
  }
  return new OneWay('ringbuf.js', lengthBytes, { file: 'ringbuf-writer', data }, { file: 'ringbuf-reader', data })
}

export const RING: Suite<RingResult[]> = {
  name: 'ring',
  about: "one source's ring between two threads, beside ringbuf.js and postMessage",
  topology: TOPOLOGY,
  run: benchRing,
  disturbances: (results) => results.flatMap(({ rates }) => rates),
  verdicts: () => []
}

async function benchRing({ sizes, pace, print }: SuiteSettings): Promise<{ result: RingResult[]; checks: Check[] }> {
  const result: RingResult[] = []
  const checks: Check[] = []
  for (const lengthBytes of sizes) {
    const contestants = [openTidemark(lengthBytes), openRingbuf(lengthBytes), openMessages(lengthBytes)]
    const rates = await measureRates(contestants, pace)
    checks.push(...contestants.flatMap((contestant) => contestant.check()))
    await Promise.all(contestants.map((contestant) => contestant.close()))
    result.push({ lengthBytes, rates })
  }
  print(table(RING_HEAD, result.flatMap(describeRing), 2))
  return { result, checks }
}

export const RING_HEAD = ['update', 'way', ...RATE_CELLS, 'times postMessage']

export function describeRing({ lengthBytes, rates }: RingResult): string[][] {
  return rates.map((rate) => [size(lengthBytes), rate.name, ...rateCells(lengthBytes, rate), rate.ratio.toFixed(1)])
}

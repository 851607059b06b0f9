import fs from 'node:fs'
import { readFully } from '../secondary/files.ts'
import { isZeros, zerosOf } from '../secondary/zeros.ts'

/** A range of a primary file and of its secondary volume. */
export interface CompareTask {
  readonly primary: string
  /** Null: it has no blocks at all, all of it reads as zeros. */
  readonly image: string | null
  readonly offset: number
  readonly length: number
}

/** Where they differ: offset, length, and 1 where the primary has zeros only; three numbers for each. */
export type Differences = Float64Array

/** Differences nearer to each other than this are one: an update costs more than a few bytes. */
const BLOCK_BYTES = 4096

let ours = Buffer.alloc(0)
let theirs = Buffer.alloc(0)

/** Compares both in this thread, with memory of its own that is used again. */
export default function compare({ primary, image, offset, length }: CompareTask): Differences {
  if (ours.length < length) {
    ours = Buffer.alloc(length)
    theirs = Buffer.alloc(length)
  }
  readRange(primary, ours, offset, length)
  if (image !== null) readRange(image, theirs, offset, length)
  return differencesOf(ours, image === null ? zerosOf(length) : theirs, length, offset)
}

function differencesOf(a: Buffer, b: Uint8Array, length: number, offset: number): Differences {
  const found: number[] = []
  if (a.compare(b, 0, length, 0, length) === 0) return new Float64Array(0)
  let from = -1
  for (let at = 0; at < length; at += BLOCK_BYTES) {
    const end = Math.min(at + BLOCK_BYTES, length)
    const differs = a.compare(b, at, end, at, end) !== 0
    if (differs && from < 0) from = at
    if (from >= 0 && (!differs || end === length)) {
      found.push(...trimmed(a, b, from, differs ? end : at, offset))
      from = -1
    }
  }
  return Float64Array.from(found)
}

/** From the first byte that differs to the last one. */
function trimmed(a: Buffer, b: Uint8Array, from: number, to: number, offset: number): [number, number, number] {
  let first = from
  while (a[first] === b[first]) first++
  let end = to
  while (a[end - 1] === b[end - 1]) end--
  return [offset + first, end - first, isZeros(a, first, end) ? 1 : 0]
}

function readRange(path: string, into: Buffer, offset: number, length: number): void {
  const fd = fs.openSync(path, 'r')
  try {
    const got = readFully(fd, into, 0, length, offset)
    if (got < length) throw new Error(`${path} ends at ${offset + got}`)
  } finally {
    fs.closeSync(fd)
  }
}

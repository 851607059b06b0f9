import fs from 'node:fs'
import path from 'node:path'
import { errnoOf, ioError, openingError, replaceFile } from './files.ts'
import { describeThisProcess, type LockHolder, parseHolder, provablyGone } from './lock.ts'

/** Who restores a set, and which: undo of all sets after it stays. The fields of the holder are those of the lock. */
interface LeaseFile extends LockHolder {
  readonly set: number
}

export interface Lease {
  /** Retention may go on. */
  release(): void
}

/**
 * Needed before what the lease is for is looked at: retention publishes what it is about to remove, then lists leases; who
 * restores writes its lease, then looks at what is published. One of the two sees the other (docs/history.md).
 */
export function writeLease(directory: string, set: number): Lease {
  const lease: LeaseFile = { ...describeThisProcess(), set }
  const file = path.join(directory, `${lease.token}.json`)
  try {
    // Whole when it has its name: an unreadable one would be honoured for ever.
    replaceFile(file, `${JSON.stringify(lease, null, 2)}\n`)
  } catch (cause) {
    throw openingError('write a lease at', file, cause)
  }
  return { release: () => fs.rmSync(file, { force: true }) }
}

/** The lowest set on which there is a lease, Infinity for none. Leases of processes that are provably gone are removed. */
export function lowestLease(directory: string): number {
  let names: string[]
  try {
    names = fs.readdirSync(directory)
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return Number.POSITIVE_INFINITY
    throw ioError('list', directory, cause)
  }
  let lowest = Number.POSITIVE_INFINITY
  for (const name of names) {
    if (name.endsWith('.json')) lowest = Math.min(lowest, setOf(path.join(directory, name)))
  }
  return lowest
}

function setOf(file: string): number {
  let text: string
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch (cause) {
    // It was given back just now.
    if (errnoOf(cause) === 'ENOENT') return Number.POSITIVE_INFINITY
    throw ioError('read', file, cause)
  }
  const holder = parseHolder(text)
  // Respected, whoever's it is.
  if (holder === null) return 0
  if (provablyGone(holder, describeThisProcess())) {
    fs.rmSync(file, { force: true })
    return Number.POSITIVE_INFINITY
  }
  const { set } = holder as LeaseFile
  return typeof set === 'number' ? set : 0
}

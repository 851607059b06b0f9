import { existsSync, mkdirSync, type StatsFs, statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

/** By the magic numbers of statfs: what is written to the first two never gets to a disk. */
const IN_MEMORY = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs']
])
const ON_DISK = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0x794c7630, 'overlayfs']
])

/** On the disk of the repository, and not seen by git. */
const OWN = path.join(import.meta.dirname, 'results')

/** A new directory for files whose speed is measured; gone when it is disposed of. */
export interface DiskDirectory extends AsyncDisposable {
  readonly path: string
  /** Its path and its kind of file system, for people. */
  readonly where: string
}

/**
 * In the system's temporary directory; in the benchmarks' own where that is in memory or too full. Where no other place
 * is left it is in memory all the same, and says so.
 */
export async function makeDiskDirectory(neededBytes: number): Promise<DiskDirectory> {
  const roomy = [os.tmpdir(), OWN].filter((directory) => freeBytes(directory) >= neededBytes)
  const parent = roomy.find((directory) => !IN_MEMORY.has(kindOf(directory))) ?? roomy[0]
  if (parent === undefined) {
    throw new Error(`there are not ${neededBytes} bytes free in ${os.tmpdir()}, nor in ${OWN}`)
  }
  mkdirSync(parent, { recursive: true })
  const directory = await mkdtemp(path.join(parent, 'tidemark-bench-'))
  return {
    path: directory,
    where: `${directory} (${describe(kindOf(directory))})`,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true })
  }
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = fileSystemOf(directory)
  return bavail * bsize
}

function kindOf(directory: string): number {
  return fileSystemOf(directory).type >>> 0
}

/** One that is not there yet is on the disk of the directory above it. */
function fileSystemOf(directory: string): StatsFs {
  return statfsSync(existsSync(directory) ? directory : path.dirname(directory))
}

function describe(kind: number): string {
  const inMemory = IN_MEMORY.get(kind)
  if (inMemory !== undefined) return `${inMemory}: IN MEMORY, figures say nothing of a disk`
  return ON_DISK.get(kind) ?? `file system 0x${kind.toString(16)}`
}

import fs from 'node:fs'
import path from 'node:path'
import { TidemarkError } from '../errors.ts'
import { makeDirectory, openingError, readIfThere, replaceFile, syncDirectory } from './files.ts'
import { listSegments } from './journal-reader.ts'
import { acquireLock, type Lock } from './lock.ts'

const VERSION = 1

/**
 * The directory in which formed sets wait for a slow secondary. It belongs to one open group at a time. What a group that
 * ended without draining has left in it is of no use: all that was not secured is sent again by the primary.
 *
 *      DIR/spool.json      version, group
 *      DIR/segments/       one journal segment for each set (docs/on-disk.md)
 *      DIR/lock            who writes
 */
export class SpoolDirectory {
  readonly segments: string
  /** Sets that were found in it, and thrown away. */
  readonly stale: number
  private readonly lock: Lock
  private closed = false

  private constructor(segments: string, lock: Lock, stale: number) {
    this.segments = segments
    this.lock = lock
    this.stale = stale
  }

  static open(directory: string, group: string): SpoolDirectory {
    const segments = path.join(directory, 'segments')
    try {
      makeDirectory(segments)
    } catch (cause) {
      throw openingError('make', segments, cause)
    }
    const lock = acquireLock(path.join(directory, 'lock'))
    try {
      checkVersion(path.join(directory, 'spool.json'), group)
      return new SpoolDirectory(segments, lock, empty(segments))
    } catch (cause) {
      lock.release()
      throw openingError('open', directory, cause)
    }
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    try {
      empty(this.segments)
    } finally {
      this.lock.release()
    }
  }
}

function checkVersion(file: string, group: string): void {
  const found = readIfThere(file)?.toString()
  if (found !== undefined) {
    const { version } = parse(found)
    if (version !== VERSION) {
      const message = `${file} is of version ${String(version)}, this is version ${VERSION}: use another spoolDirectory`
      throw new TidemarkError('TIDEMARK_VERSION', message, { path: file, version })
    }
  }
  const wanted = `${JSON.stringify({ version: VERSION, group }, null, 2)}\n`
  if (found !== wanted) replaceFile(file, wanted)
}

function parse(text: string): { version?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** Only what is ours. */
function empty(segments: string): number {
  const found = listSegments(segments)
  for (const { path: file } of found) fs.unlinkSync(file)
  if (found.length > 0) syncDirectory(segments)
  return found.length
}

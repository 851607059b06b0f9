import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import { TidemarkError } from '../errors.ts'
import { errnoOf, openingError, readIfThere, writeFully } from './files.ts'

/** Who holds a lock: enough to prove, later and from another process, that it is gone. Null where the system does not tell. */
export interface LockHolder {
  readonly host: string
  /** Differs after each start of the machine. */
  readonly boot: string | null
  /** Process identifiers mean something only within one. */
  readonly namespace: string | null
  readonly pid: number
  /** In ticks since the boot: another process with the same identifier started at another time. */
  readonly start: string | null
  readonly since: string
  readonly token: string
}

export interface Lock {
  readonly holder: LockHolder
  /** Removes it, if it is still ours. */
  release(): void
}

/** Another one may come and go between the look at a lock and the attempt to take it. */
const TRIES = 8

/**
 * One process at a time writes to a secondary directory. Taken over only from a holder that is provably gone.
 * @param force  whoever holds it
 */
export function acquireLock(file: string, options: { force?: boolean } = {}): Lock {
  const holder = describeThisProcess()
  const temporary = `${file}.${holder.token}`
  try {
    writeComplete(temporary, holder)
    for (let tries = 0; tries < TRIES; tries++) {
      if (linkExclusively(temporary, file, holder)) return { holder, release: () => release(file, holder) }
      const found = readIfThere(file)?.toString()
      if (found === undefined) continue
      const other = parseHolder(found)
      if (options.force !== true && (other === null || !provablyGone(other, holder))) throw lockedError(file, other)
      const taken = setAside(file, found, `${temporary}.old`)
      if (taken !== null) throw lockedError(file, parseHolder(taken))
    }
    throw lockedError(file, parseHolder(readIfThere(file)?.toString() ?? ''))
  } catch (cause) {
    throw openingError('lock', file, cause)
  } finally {
    fs.rmSync(temporary, { force: true })
  }
}

export function describeThisProcess(): LockHolder {
  return {
    host: os.hostname(),
    boot: readProc('/proc/sys/kernel/random/boot_id'),
    namespace: readNamespace(),
    pid: process.pid,
    start: startTime('self'),
    since: new Date().toISOString(),
    token: randomUUID()
  }
}

/** Who holds the lock and may be writing: null when nobody does, or the holder is provably gone. In doubt it is not. */
export function findWriter(file: string): LockHolder | 'unreadable' | null {
  const found = readIfThere(file)?.toString()
  if (found === undefined) return null
  const holder = parseHolder(found)
  if (holder === null) return 'unreadable'
  return provablyGone(holder, describeThisProcess()) ? null : holder
}

/** Whether that process has ended for certain, as seen from `here`. In doubt it has not. */
export function provablyGone(holder: LockHolder, here: LockHolder): boolean {
  if (holder.host !== here.host) return false
  if (holder.boot !== here.boot) return holder.boot !== null && here.boot !== null
  if (holder.namespace !== here.namespace) return false
  const start = startTime(String(holder.pid))
  if (start !== null) return start === 'ended' || (holder.start !== null && start !== holder.start)
  // No entry in /proc: there is none on this system, or it hides other users' processes.
  try {
    process.kill(holder.pid, 0)
    return false
  } catch (cause) {
    return errnoOf(cause) === 'ESRCH'
  }
}

/** Field 22 of its stat line; 'ended' for one that only waits for its parent to notice; null where there is none. */
function startTime(pid: string): string | null {
  const stat = readProc(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The second field, the program's name in parentheses, may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return 'ended'
  return fields[19] ?? null
}

function readProc(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch {
    return null
  }
}

function readNamespace(): string | null {
  try {
    return fs.readlinkSync('/proc/self/ns/pid')
  } catch {
    return null
  }
}

function writeComplete(file: string, holder: LockHolder): void {
  const fd = fs.openSync(file, 'wx')
  try {
    const bytes = Buffer.from(`${JSON.stringify(holder, null, 2)}\n`)
    writeFully(fd, bytes, 0, bytes.length, 0)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** False when there is a lock already. A link makes the whole content appear at once under the lock's name. */
function linkExclusively(temporary: string, file: string, holder: LockHolder): boolean {
  try {
    fs.linkSync(temporary, file)
    return true
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'EEXIST') return false
    // File systems without links: exclusive all the same, though for a moment it is seen unfinished (and then respected).
    if (errno !== 'EPERM' && errno !== 'ENOTSUP' && errno !== 'ENOSYS' && errno !== 'EOPNOTSUPP') throw cause
  }
  try {
    writeComplete(file, holder)
    return true
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return false
    throw cause
  }
}

/**
 * Moves a dead process's lock out of the way. Returns null, or the content of a lock that is not the one that was looked
 * at: someone else was faster, its lock is put back.
 */
function setAside(file: string, expected: string, aside: string): string | null {
  try {
    fs.renameSync(file, aside)
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return null
    throw cause
  }
  const moved = fs.readFileSync(aside, 'utf8')
  if (moved === expected) {
    fs.unlinkSync(aside)
    return null
  }
  fs.renameSync(aside, file)
  return moved
}

function release(file: string, holder: LockHolder): void {
  const found = readIfThere(file)?.toString()
  if (found !== undefined && parseHolder(found)?.token === holder.token) fs.rmSync(file, { force: true })
}

export function parseHolder(text: string): LockHolder | null {
  try {
    const value = JSON.parse(text) as Partial<LockHolder> | null
    return typeof value?.host === 'string' && typeof value.pid === 'number' ? (value as LockHolder) : null
  } catch {
    return null
  }
}

function lockedError(file: string, holder: LockHolder | null): TidemarkError {
  const who =
    holder === null
      ? 'by a holder that cannot be read from it'
      : `by process ${holder.pid} on ${holder.host} since ${holder.since}`
  const advice = 'close it there, or force the lock when you know that nobody writes'
  return new TidemarkError('TIDEMARK_LOCKED', `${file} is held ${who}: ${advice}`, { path: file, holder })
}

import fs from 'node:fs'
import path from 'node:path'
import { TidemarkError, type TidemarkErrorCode } from '../errors.ts'

/** Reads and writes that finish or throw, and the steps that make a file's name durable. Synchronous, but for writeHandle. */

/** The system's code, as ENOENT. Node.js's own codes (ERR_...) tell of a wrong call, not of the system. */
export function errnoOf(cause: unknown): string | undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' && !code.startsWith('ERR_') ? code : undefined
}

/** Only a call to the system is explained; anything else (ours already, an abort, a bug) stays what it is. */
function failed(code: TidemarkErrorCode, action: string, file: string, cause: unknown): unknown {
  const errno = errnoOf(cause)
  if (!(cause instanceof Error) || cause instanceof TidemarkError || errno === undefined) return cause
  const reason = cause.message
  return new TidemarkError(code, `cannot ${action} ${file}: ${reason}`, { path: file, errno, action }, { cause })
}

/** What a failed call on an open directory means: no space can be helped, anything else says that the disk is not to be trusted. */
export function ioError(action: string, file: string, cause: unknown): unknown {
  const errno = errnoOf(cause)
  const full = errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EFBIG'
  return failed(full ? 'TIDEMARK_NO_SPACE' : 'TIDEMARK_CORRUPT', action, file, cause)
}

export function isNoSpace(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'TIDEMARK_NO_SPACE'
}

/** While a directory is opened: a path that cannot be used is the caller's mistake. */
export function openingError(action: string, file: string, cause: unknown): unknown {
  const errno = errnoOf(cause)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return failed('TIDEMARK_NO_SPACE', action, file, cause)
  return failed(errno === 'EIO' ? 'TIDEMARK_CORRUPT' : 'TIDEMARK_OPTIONS', action, file, cause)
}

export function writeFully(fd: number, from: Uint8Array, offset: number, length: number, position: number): void {
  let done = 0
  while (done < length) done += fs.writeSync(fd, from, offset + done, length - done, position + done)
}

export async function writeHandle(handle: fs.promises.FileHandle, from: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < from.length; ) {
    done += (await handle.write(from, done, from.length - done, position + done)).bytesWritten
  }
}

/** Writes all views one after another; `views` is used up when a write was cut short. */
export function writeAllFully(fd: number, views: Uint8Array[], length: number, position: number): void {
  let done = fs.writevSync(fd, views, position)
  while (done < length) {
    let skip = done
    let first = 0
    while (skip >= (views[first] as Uint8Array).length) skip -= (views[first++] as Uint8Array).length
    const rest = views.slice(first)
    rest[0] = (rest[0] as Uint8Array).subarray(skip)
    done += fs.writevSync(fd, rest, position + done)
  }
}

/** Returns how many bytes there were before the file's end. */
export function readFully(fd: number, into: Uint8Array, offset: number, length: number, position: number): number {
  let done = 0
  while (done < length) {
    const got = fs.readSync(fd, into, offset + done, length - done, position + done)
    if (got === 0) break
    done += got
  }
  return done
}

/**
 * Makes a directory, those above it where they are missing, and their names durable. Not by mkdir's own `recursive`: where
 * the system says ENOENT for a directory that is there (/proc), that never returns.
 */
export function makeDirectory(directory: string): void {
  if (fs.existsSync(directory)) return
  const above = path.dirname(directory)
  if (above !== directory) makeDirectory(above)
  try {
    fs.mkdirSync(directory)
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw cause
  }
  syncDirectory(above)
}

/**
 * Makes the names of a directory and of those above it durable, whoever has made them: one who was killed may have done so and
 * not have synced them. What we may not open we have not made, nor what lies where nothing can be made or synced.
 */
export function syncWayTo(directory: string): void {
  for (let at = directory; at !== path.dirname(at); at = path.dirname(at)) {
    try {
      syncDirectory(path.dirname(at))
    } catch (cause) {
      if (!['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(errnoOf(cause) ?? '')) throw cause
    }
  }
}

/** Makes names in a directory durable: a created, renamed or removed file is in it for good only after this. */
export function syncDirectory(directory: string): void {
  // Windows cannot open directories; its file systems journal names by themselves.
  if (process.platform === 'win32') return
  const fd = fs.openSync(directory, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** The file holds, after a crash at any moment, either its old content or all of the new. */
export function replaceFile(file: string, content: Uint8Array | string): void {
  const temporary = `${file}.new`
  const fd = fs.openSync(temporary, 'w')
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    writeFully(fd, bytes, 0, bytes.length, 0)
    // Synced before it is renamed: a name must never lead to content that is not there yet.
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
  fs.renameSync(temporary, file)
  syncDirectory(path.dirname(file))
}

/** Null where there is no such file. */
export function sizeOf(file: string): number | null {
  try {
    return fs.statSync(file).size
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return null
    throw openingError('look at', file, cause)
  }
}

export function readIfThere(file: string): Buffer | null {
  try {
    return fs.readFileSync(file)
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR') return null
    throw cause
  }
}

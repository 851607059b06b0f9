import { TidemarkError } from '../errors.ts'
import type { RestoreOptions, SecondaryReport, SetReport, VerifyProgress, VerifyReport } from '../types.ts'
import { openExistingDirectory, type SecondaryDirectory } from './directory.ts'
import { layoutOf } from './format.ts'
import { checkReadable, inspectDirectory } from './report.ts'
import { restoreSet } from './restore-set.ts'

export { inspectDirectory } from './report.ts'

export interface OpenSecondaryOptions {
  /** Takes no lock and changes nothing. */
  readOnly?: boolean
  signal?: AbortSignal
  /** Takes the lock whoever holds it. */
  forceUnlock?: boolean
}

export interface VerifyCall {
  readonly signal?: AbortSignal
  /** Told now and then while it goes on, and at its end. */
  readonly onProgress?: (progress: VerifyProgress) => void
}

/** What takes threads, which this layer knows nothing of. */
export interface SecondaryThreads {
  verify(directory: string, options: VerifyCall & { readonly isLocked: boolean }): Promise<VerifyReport>
}

export async function openSecondaryWith(
  threads: SecondaryThreads,
  directory: string,
  options: OpenSecondaryOptions
): Promise<Secondary> {
  options.signal?.throwIfAborted()
  if (options.readOnly === true) {
    checkReadable(directory)
    return new Secondary(threads, directory, null)
  }
  const force = options.forceUnlock === true
  return new Secondary(threads, directory, openExistingDirectory(directory, { force, signal: options.signal }))
}

export class Secondary {
  readonly directory: string
  private readonly threads: SecondaryThreads
  /** Null when it was opened to be read only. */
  private readonly opened: SecondaryDirectory | null
  private closed = false

  constructor(threads: SecondaryThreads, directory: string, opened: SecondaryDirectory | null) {
    this.threads = threads
    this.directory = layoutOf(directory).directory
    this.opened = opened
  }

  async inspect(): Promise<SecondaryReport> {
    this.checkOpen()
    return inspectDirectory(this.directory)
  }

  /**
   * Consistent copies of all volumes, `NAME.img` each, at a kept set: a number, a name, or the newest one not after a time.
   * Default: the last applied set. Needs no lock and stops nobody. Given up by the signal, it removes what it made.
   * @throws TidemarkError TIDEMARK_OPTIONS (`to` not empty; `details.missing`: not kept, with `set`, `oldest`, `newest`),
   * TIDEMARK_CORRUPT (undo is damaged), TIDEMARK_LOCKED (without history: it changes all the time), TIDEMARK_NO_SPACE
   */
  async restore(to: string, options: RestoreOptions = {}): Promise<SetReport> {
    this.checkOpen()
    return restoreSet(layoutOf(this.directory), to, options)
  }

  /**
   * Compares journal, history and volumes with their checksums, on threads; changes nothing. Opened `readOnly` it may be done
   * while a group writes.
   * @throws TidemarkError TIDEMARK_CLOSED, TIDEMARK_CORRUPT (so damaged that it cannot be compared), TIDEMARK_LOCKED (a writer never
   * paused: try again)
   */
  async verify(options: VerifyCall = {}): Promise<VerifyReport> {
    this.checkOpen()
    return this.threads.verify(this.directory, { ...options, isLocked: this.opened !== null })
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.opened?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  private checkOpen(): void {
    if (!this.closed) return
    throw new TidemarkError('TIDEMARK_CLOSED', `${this.directory} was closed`, { path: this.directory })
  }
}

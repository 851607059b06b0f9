import { TidemarkError } from '../errors.ts'
import type { SecondaryReport } from '../types.ts'
import { openExistingDirectory, type SecondaryDirectory } from './directory.ts'
import { layoutOf } from './format.ts'
import { inspectDirectory } from './report.ts'

export { inspectDirectory } from './report.ts'

export interface OpenSecondaryOptions {
  /** Takes no lock and changes nothing. */
  readOnly?: boolean
  signal?: AbortSignal
  /** Takes the lock whoever holds it. */
  forceUnlock?: boolean
}

/**
 * Opens a secondary directory on this machine and finishes what a crash left there, unless `readOnly`.
 * @throws TidemarkError TIDEMARK_OPTIONS (`details.missing`: not a secondary directory), TIDEMARK_VERSION, TIDEMARK_LOCKED, TIDEMARK_CORRUPT
 */
export async function openSecondary(directory: string, options: OpenSecondaryOptions = {}): Promise<Secondary> {
  options.signal?.throwIfAborted()
  if (options.readOnly === true) {
    inspectDirectory(directory)
    return new Secondary(directory, null)
  }
  const force = options.forceUnlock === true
  return new Secondary(directory, openExistingDirectory(directory, { force, signal: options.signal }))
}

export class Secondary {
  readonly directory: string
  /** Null when it was opened to be read only. */
  private readonly opened: SecondaryDirectory | null
  private closed = false

  constructor(directory: string, opened: SecondaryDirectory | null) {
    this.directory = layoutOf(directory).directory
    this.opened = opened
  }

  async inspect(): Promise<SecondaryReport> {
    this.checkOpen()
    return inspectDirectory(this.directory)
  }

  async restore(
    _to: string,
    _options?: { set?: number | string; time?: number; signal?: AbortSignal }
  ): Promise<never> {
    throw this.notYet('restore')
  }

  async verify(_options?: { signal?: AbortSignal }): Promise<never> {
    throw this.notYet('verify')
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

  private notYet(what: string): TidemarkError {
    const message = `${what} of a secondary directory is not there yet`
    return new TidemarkError('TIDEMARK_OPTIONS', message, { path: this.directory, call: what })
  }
}

/** What went wrong, for programs: stable names. */
export type TidemarkErrorCode =
  | 'TIDEMARK_OPTIONS'
  | 'TIDEMARK_UNKNOWN_VOLUME'
  | 'TIDEMARK_UNKNOWN_COMPONENT'
  | 'TIDEMARK_OUT_OF_RANGE'
  | 'TIDEMARK_TOO_LARGE'
  | 'TIDEMARK_CLOSED'
  | 'TIDEMARK_SUSPENDED'
  | 'TIDEMARK_DATA_LOSS'
  | 'TIDEMARK_NOT_REDUNDANT'
  | 'TIDEMARK_CORRUPT'
  | 'TIDEMARK_VERSION'
  | 'TIDEMARK_MISMATCH'
  | 'TIDEMARK_LOCKED'
  | 'TIDEMARK_NO_SPACE'
  | 'TIDEMARK_FENCED'
  | 'TIDEMARK_LAG'
  | 'TIDEMARK_AUTH'
  | 'TIDEMARK_REMOTE'

/** An error as a plain object: `structuredClone`, so `postMessage`, drops an error's class, code and details. */
export interface TidemarkErrorRecord {
  readonly code: TidemarkErrorCode
  readonly message: string
  readonly details: Record<string, unknown>
  readonly stack: string | undefined
  /** Message of the cause, where there was one. */
  readonly cause: string | undefined
}

export class TidemarkError extends Error {
  override readonly name = 'TidemarkError'
  readonly code: TidemarkErrorCode
  /** The volume, set, component, path ... that the message names. Plain values only, so that a record can be posted. */
  readonly details: Record<string, unknown>

  constructor(
    code: TidemarkErrorCode,
    message: string,
    details: Record<string, unknown> = {},
    options?: { cause?: unknown }
  ) {
    super(message, options)
    this.code = code
    this.details = details
  }

  toRecord(): TidemarkErrorRecord {
    const { code, message, details, stack, cause } = this
    const said = cause === undefined ? undefined : cause instanceof Error ? cause.message : String(cause)
    return { code, message, details, stack, cause: said }
  }

  static fromRecord(record: TidemarkErrorRecord): TidemarkError {
    const options = record.cause === undefined ? undefined : { cause: new Error(record.cause) }
    const error = new TidemarkError(record.code, record.message, record.details, options)
    if (record.stack !== undefined) error.stack = record.stack
    return error
  }
}

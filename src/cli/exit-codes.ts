import { TidemarkError } from '../index.ts'

export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
export const EXIT_NOT_FOUND = 4
export const EXIT_TRY_AGAIN = 5
export const EXIT_INTEGRITY = 6

/** The command line cannot be understood. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE
  if (error instanceof TidemarkError) {
    if (error.details.missing === true) return EXIT_NOT_FOUND
    switch (error.code) {
      case 'TIDEMARK_OPTIONS':
      case 'TIDEMARK_MISMATCH':
      case 'TIDEMARK_VERSION':
        return EXIT_USAGE
      case 'TIDEMARK_LOCKED':
        return EXIT_TRY_AGAIN
      case 'TIDEMARK_CORRUPT':
        return EXIT_INTEGRITY
      default:
        return EXIT_FAILED
    }
  }
  return isMissingFile(error) ? EXIT_NOT_FOUND : EXIT_FAILED
}

function isMissingFile(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

import { verifyDirectory } from './runtime/verify-directory.ts'
import { type OpenSecondaryOptions, openSecondaryWith, type Secondary } from './secondary/secondary.ts'

/**
 * Opens a secondary directory on this machine and finishes what a crash left there, unless `readOnly`.
 * @throws TidemarkError TIDEMARK_OPTIONS (`details.missing`: not a secondary directory), TIDEMARK_VERSION, TIDEMARK_LOCKED, TIDEMARK_CORRUPT
 */
export function openSecondary(directory: string, options: OpenSecondaryOptions = {}): Promise<Secondary> {
  return openSecondaryWith({ verify: verifyDirectory }, directory, options)
}

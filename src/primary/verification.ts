import { TidemarkError } from '../errors.ts'
import type { VerifyOptions, VerifyReport } from '../types.ts'
import type { PrimaryFiles } from './primary-files.ts'

export async function verifyPrimaries(files: PrimaryFiles, _options: VerifyOptions): Promise<VerifyReport> {
  if (files.open.length === 0) {
    throw new TidemarkError('TIDEMARK_OPTIONS', 'no volume has an open primary file: there is nothing to compare', {
      option: 'verify'
    })
  }
  throw new TidemarkError('TIDEMARK_OPTIONS', 'not yet', {})
}

import { randomBytes } from 'node:crypto'
import { TidemarkError } from '../errors.ts'
import { openingError, readIfThere, replaceFile } from './files.ts'
import type { Layout } from './format.ts'

/**
 * Which secondary directory it is, wherever it lies: 32 hexadecimal digits, drawn once. Whoever remembers what this directory has
 * (the activity log of a primary file) remembers it under this name. The caller holds the lock.
 */
export function ensureIdentity(layout: Layout): void {
  if (readIfThere(layout.identity) === null) replaceFile(layout.identity, `${randomBytes(16).toString('hex')}\n`)
}

export function readIdentity(layout: Layout): string {
  try {
    const id = readIfThere(layout.identity)?.toString().trim() ?? ''
    if (/^[0-9a-f]{32}$/.test(id)) return id
  } catch (cause) {
    throw openingError('read', layout.identity, cause)
  }
  throw new TidemarkError('TIDEMARK_CORRUPT', `${layout.identity} is damaged: remove it, then everything is compared`, {
    path: layout.identity
  })
}

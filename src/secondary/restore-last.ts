import { setTimeout as after } from 'node:timers/promises'
import { TidemarkError } from '../errors.ts'
import type { RestoreOptions } from '../types.ts'
import { readCommits } from './commit-log.ts'
import { copyImages } from './copy-images.ts'
import { type Layout, readExistingFormat } from './format.ts'
import { findKept, type KeptSet, keptSets } from './kept-sets.ts'
import { findWriter } from './lock.ts'
import { waitingCommits } from './recover.ts'
import type { RestoreTarget } from './restore-target.ts'
import { type SecondaryState, StateFile } from './state.ts'

const TRIES = 10
const PAUSE_MS = 20

/**
 * Copies the last applied set where no history is kept. Nothing can mend what a writer changes meanwhile: the copies count
 * if nothing was being applied before, nothing was after, and no set had come.
 */
export async function restoreLast(layout: Layout, target: RestoreTarget, options: RestoreOptions): Promise<KeptSet> {
  const format = readExistingFormat(layout)
  const state = StateFile.open(layout.state, 'read')
  const totalBytes = format.volumes.reduce((sum, { size }) => sum + size, 0)
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0) await after(PAUSE_MS, undefined, { ...(options.signal && { signal: options.signal }) })
      const before = state.refresh()
      checkSettled(layout, before)
      const found = findKept(keptSets(before, readCommits(layout.commits).commits), options)
      if (before.applying !== null) continue
      let doneBytes = 0
      await copyImages(layout, format, target, {
        signal: options.signal,
        onProgress: (bytes) => {
          doneBytes += bytes
          options.onProgress?.({ step: 'copy', doneBytes, totalBytes })
        }
      })
      const { appliedSet, applying } = state.refresh()
      if (appliedSet === before.appliedSet && applying === null) return found
      target.clear()
    }
  } finally {
    state.close()
  }
  const message = `${layout.directory} was changed during each of ${TRIES} attempts to copy it: keep history, or hold the applied set (holdApplied)`
  throw new TidemarkError('TIDEMARK_LOCKED', message, { path: layout.directory, tries: TRIES })
}

/** A crash may have left a set half applied; as long as somebody writes, the state says so. */
function checkSettled(layout: Layout, state: SecondaryState): void {
  if (findWriter(layout.lock) !== null) return
  if (state.applying === null && waitingCommits(layout, state).length === 0) return
  const message = `a crash left ${layout.directory} unfinished: open it for writing, or run 'tidemark recover', first`
  throw new TidemarkError('TIDEMARK_OPTIONS', message, { path: layout.directory, securedSet: state.securedSet })
}

import type { Board } from '../memory/board.ts'
import { SET_WINDOW } from '../memory/source-memory.ts'
import { expandSet } from './set-identifier.ts'
import type { PartFacts, ResumedProgress, StoreProgress } from './set-store.ts'

/** What a secondary component has told on the board; for one that died: all that anyone can have acted on. */
export function loadTold(board: Board, index: number): StoreProgress {
  const near = board.loadNear()
  return {
    journaled: expandSet(board.loadJournaled(index), near),
    applied: expandSet(board.loadApplied(index), near),
    committed: expandSet(board.loadCommitted(), near),
    announced: expandSet(board.loadApplying(), near),
    marked: expandSet(board.loadMarked(), near)
  }
}

/**
 * Tells what a predecessor had done and may have died before telling. Each word has one writer, so none is put back.
 * `applied` and the bytes written are not among it: what was not told applied is applied again, and told then.
 */
export function tellResumed(board: Board, index: number, progress: ResumedProgress): void {
  for (const { set, updates, bytes } of progress.parts) board.storePartFacts(index, set, updates, bytes)
  board.storeJournaled(index, progress.journaled | 0)
  if (index !== 0) return
  board.storeCommitted(progress.committed | 0)
  board.storeApplying(progress.announced | 0)
  board.storeMarked(progress.marked | 0)
}

/**
 * By secondary component, what is journaled of the sets after `committed` up to `set` (whole numbers). All of those that were
 * sent are told journaled, so that what each component has written of them is there to be read.
 */
export function journaledParts(board: Board, committed: number, set: number): PartFacts[] {
  const first = Math.max(committed + 1, set - SET_WINDOW + 1)
  return Array.from({ length: board.layout.secondaries }, (_, index) => {
    let [updates, bytes] = [0, 0]
    for (let each = first; each <= set; each++) {
      if (!board.hasPart(index, each)) continue
      updates += board.partFact(index, each, 1)
      bytes += board.partFact(index, each, 2)
    }
    return { updates, bytes }
  })
}

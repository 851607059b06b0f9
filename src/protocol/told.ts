import type { Board } from '../memory/board.ts'
import { expandSet } from './set-identifier.ts'
import type { StoreProgress } from './set-store.ts'

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
export function tellResumed(board: Board, index: number, progress: StoreProgress): void {
  board.storeJournaled(index, progress.journaled | 0)
  if (index !== 0) return
  board.storeCommitted(progress.committed | 0)
  board.storeApplying(progress.announced | 0)
  board.storeMarked(progress.marked | 0)
}

import { TidemarkError, type TidemarkErrorRecord } from '../errors.ts'
import { checkSomeOfSegment, type SegmentCheck } from '../secondary/check-segment.ts'
import { type BlocksJudged, type BlocksTask, judgeBlocks } from '../secondary/judge-blocks.ts'

export type VerifyTask =
  | { readonly kind: 'segment'; readonly check: SegmentCheck; readonly budgetBytes: number }
  | { readonly kind: 'blocks'; readonly blocks: BlocksTask }

export type VerifyOutcome =
  | { readonly check: SegmentCheck }
  | { readonly judged: BlocksJudged }
  | { readonly error: TidemarkErrorRecord }

/** A piece of what is verified. Synchronous file calls only: the thread may be ended when the caller has had enough. */
export default function verifyPiece(task: VerifyTask): VerifyOutcome {
  try {
    if (task.kind === 'segment') return { check: checkSomeOfSegment(task.check, task.budgetBytes) }
    return { judged: judgeBlocks(task.blocks) }
  } catch (error) {
    if (error instanceof TidemarkError) return { error: error.toRecord() }
    throw error
  }
}

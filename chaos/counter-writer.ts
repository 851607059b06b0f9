import type { PrimarySource, Receipt } from '../src/index.ts'
import { CELL_BYTES, type Cell } from './areas.ts'
import type { Gauges } from './gauges.ts'
import { type Issue, ReceiptCheck } from './receipts.ts'
import type { WriterReport, WriterSetting } from './writer-setting.ts'

/**
 * Counts in three places, A, B and C. Kind 'counter' awaits A before it writes B and B before C, so that every consistent copy
 * has A >= B >= C >= A-1; kind 'transaction' writes all three at once, so that it has A = B = C.
 */
export async function runCounterWriter(
  source: PrimarySource,
  setting: WriterSetting,
  gauges: Gauges
): Promise<WriterReport> {
  const { index, name, kind, cells } = setting
  const receipts = new ReceiptCheck(name, setting.mirrors, gauges)
  const cellSets: number[][] = cells.map(() => [])
  const data = new Uint8Array(CELL_BYTES)
  const view = new DataView(data.buffer)
  const nameOf = ({ volume }: Cell): string => setting.volumes[volume] as string

  async function one(n: number): Promise<void> {
    const cell = cells[n] as Cell
    const issue = receipts.issue()
    note(n, 1, [await source.volume(nameOf(cell)).write(cell.offset, data)], issue)
  }

  async function all(): Promise<void> {
    const issue = receipts.issue()
    const updates = cells.map((cell) => ({ volume: nameOf(cell), offset: cell.offset, data }))
    note(0, cells.length, await source.transaction(updates), issue)
  }

  /** `count` cells from the `first`th on hold the number now. */
  function note(first: number, count: number, got: readonly Receipt[], issue: Issue): void {
    receipts.acknowledged(issue, got, cells.slice(first, first + count).map(nameOf))
    for (const [n, { set }] of got.entries()) cellSets[first + n]?.push(set)
    gauges.addAcknowledged(index, count)
  }

  let count = 0
  while (!gauges.isStopping) {
    view.setFloat64(0, ++count, true)
    if (kind === 'transaction') await all()
    else for (const n of cells.keys()) await one(n)
  }
  const updates = count * cells.length
  return { index, updates, largeUpdates: 0, own: [], shared: [], cellSets, longestWaitMs: receipts.longestWaitMs }
}

import fs from 'node:fs'
import type { PrimarySource } from '../../src/index.ts'
import { BURST, type KilledTask, type Piece, stepOf, VOLUMES } from './killed-updates.ts'

/** Writes step after step until the process is killed. What is acknowledged is noted in a file: that outlives the process. */
export async function writeUntilKilled(source: PrimarySource, index: number, task: KilledTask): Promise<never> {
  const notes = fs.openSync(task.receipts[index] as string, 'a')
  for (let n = (task.done[index] as number) + 1; ; n += BURST) {
    const steps = Array.from({ length: BURST }, (_, k) => stepOf(task.seed, task.round, index, n + k))
    const sets = await Promise.all(steps.map((pieces) => post(source, pieces)))
    fs.writeSync(notes, sets.map((set, k) => `${n + k} ${set}\n`).join(''))
  }
}

/** Returns the set. */
async function post(source: PrimarySource, pieces: readonly Piece[]): Promise<number> {
  const [first] = pieces as [Piece]
  if (pieces.length > 1) {
    const receipts = await source.transaction(
      pieces.map(({ volume, offset, length, fill }) => ({
        volume: nameOf(volume),
        offset,
        data: Buffer.alloc(length, fill)
      }))
    )
    return receipts[0]?.set as number
  }
  const writer = source.volume(nameOf(first.volume))
  if (first.fill === 0) return (await writer.zero(first.offset, first.length)).set
  return (await writer.write(first.offset, Buffer.alloc(first.length, first.fill))).set
}

function nameOf(volume: number): string {
  return VOLUMES[volume]?.name ?? ''
}

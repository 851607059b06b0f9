import fs from 'node:fs'
import path from 'node:path'
import {
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_POSITION,
  FRAME_VOLUME,
  type Part,
  UNDO_MAGIC
} from '../../src/secondary/block.ts'
import { layoutOf } from '../../src/secondary/format.ts'
import { readSteps } from '../../src/secondary/journal-reader.ts'
import { listUndo } from '../../src/secondary/undo.ts'

/** The images, by name in alphabetical order, with undo of all sets after this one; written as simply as it can be. */
export function undone(directory: string, names: readonly string[], set: number): Buffer[] {
  const images = names.map((name) => fs.readFileSync(path.join(directory, `volumes/${name}.img`)))
  const later = listUndo(layoutOf(directory).history).filter((undo) => undo.set > set)
  for (const undo of later.sort((a, b) => b.set - a.set)) {
    const bytes = fs.readFileSync(undo.path)
    const parts: Part[] = []
    const steps = readSteps({ ...undo, firstSet: undo.set }, (part) => parts.push(part), UNDO_MAGIC)
    while (steps.next().done !== true);
    for (const { frames } of parts) {
      for (let row = 0; row < frames.length; row++) {
        const offset = frames.get(row, FRAME_OFFSET)
        const length = frames.get(row, FRAME_LENGTH)
        const at = frames.get(row, FRAME_POSITION)
        const before = at < 0 ? Buffer.alloc(length) : bytes.subarray(at, at + length)
        images[frames.get(row, FRAME_VOLUME)]?.set(before, offset)
      }
    }
  }
  return images
}

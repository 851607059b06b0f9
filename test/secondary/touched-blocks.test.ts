import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_POSITION,
  FRAME_SEQUENCE,
  FRAME_VOLUME,
  frameTable
} from '../../src/secondary/block.ts'
import { SUM_BLOCK_BYTES } from '../../src/secondary/block-sums.ts'
import { Fold } from '../../src/secondary/fold.ts'
import { MOST_BLOCKS, TouchedBlocks } from '../../src/secondary/touched-blocks.ts'

const SIZES = [70 * SUM_BLOCK_BYTES, 10 * SUM_BLOCK_BYTES + 123]

const update = fc.record({
  volume: fc.nat(SIZES.length - 1),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.oneof(
    fc.integer({ min: 1, max: 300 }),
    fc.constantFrom(SUM_BLOCK_BYTES, 2 * SUM_BLOCK_BYTES, 66 * SUM_BLOCK_BYTES),
    fc.integer({ min: 4000, max: 20_000 })
  ),
  /** Places on which blocks, and pieces, begin and end more often than by chance. */
  aligned: fc.boolean(),
  zero: fc.boolean()
})

test('every block that a part touches comes once, in order, with the bytes that are written in it', () => {
  let zeroed = 0
  let inPart = 0
  fc.assert(
    fc.property(fc.array(update, { maxLength: 40 }), (updates) => {
      const bytes = SIZES.map((size) => new Uint8Array(size))
      const frames = frameTable()
      for (const [n, { volume, at, length, aligned, zero }] of updates.entries()) {
        const size = SIZES[volume] as number
        let offset = Math.min(size - 1, Math.floor(at * size))
        if (aligned) offset -= offset % SUM_BLOCK_BYTES
        const fitting = Math.min(length, size - offset)
        bytes[volume]?.fill(zero ? 2 : 1, offset, offset + fitting)
        const row = frames.add()
        const columns = [
          [FRAME_VOLUME, volume],
          [FRAME_OFFSET, offset],
          [FRAME_LENGTH, fitting],
          [FRAME_SEQUENCE, n + 1],
          [FRAME_POSITION, zero ? -1 : n * 1_000_000]
        ] as const
        for (const [column, value] of columns) frames.set(row, column, value)
      }
      const fold = new Fold()
      fold.begin(frames, SIZES.length)
      while (!fold.resolve(1000));
      const touched = new TouchedBlocks(SIZES)
      touched.begin(fold)
      const found = new Map<string, number>()
      let last = -1
      while (touched.next()) {
        const place = touched.volume * 1e6 + touched.first
        expect(place).toBeGreaterThan(last)
        last = place + touched.count - 1
        if (!touched.isZeroed) expect(touched.count).toBeLessThanOrEqual(MOST_BLOCKS)
        for (let n = 0; n < touched.count; n++) {
          found.set(`${touched.volume} ${touched.first + n}`, touched.isZeroed ? -1 : (touched.covered[n] as number))
        }
      }
      const wanted = new Map<string, number>()
      for (const [volume, content] of bytes.entries()) {
        for (let block = 0; block * SUM_BLOCK_BYTES < content.length; block++) {
          const inBlock = content.subarray(block * SUM_BLOCK_BYTES, (block + 1) * SUM_BLOCK_BYTES)
          let covered = 0
          for (const value of inBlock) if (value !== 0) covered++
          if (covered === 0) continue
          const name = `${volume} ${block}`
          // Whole blocks of zeros, though maybe in several pieces, may come either way.
          const becomesZeros = found.get(name) === -1 && inBlock.every((value) => value === 2)
          if (becomesZeros) zeroed++
          else if (covered < inBlock.length) inPart++
          wanted.set(name, becomesZeros ? -1 : covered)
        }
      }
      expect([...found]).toEqual([...wanted])
    }),
    { numRuns: 200 }
  )
  expect(zeroed).toBeGreaterThan(100)
  expect(inPart).toBeGreaterThan(100)
})

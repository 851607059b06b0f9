/** A source that waits in its thread, where everything is acknowledged just before it would sleep. */
import { describe, expect, test } from 'vitest'
import { Board } from '../../src/memory/board.ts'
import { SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { RingSource } from '../../src/source.ts'

const RING_BYTES = 4096
const DATA = new Uint8Array(64)

/** Its ring is full, and whoever acknowledges does so at the n-th look from now on. */
function openFull(look: number): { source: RingSource; posted: number } {
  const layout = sourceLayout(RING_BYTES)
  const boardLayout = { slots: 1, secondaries: 0, volumes: 1 }
  const facts = {
    board: Board.allocate(boardLayout),
    boardLayout,
    volumes: [{ name: 'a', size: 2 ** 20 }],
    largestRecordData: 512,
    transactionBytes: RING_BYTES,
    transactionParts: 16
  }
  const host = { facts, near: () => 1, keepsAlive: false }
  const source = new RingSource('s', SourceMemory.allocate(layout), layout, host)
  const writer = source.volume('a')
  let posted = 0
  while (writer.tryPost(0, DATA)) posted++
  const { memory } = source
  let looks = 0
  memory.loadReleased = (): number => {
    if (++looks === look) memory.release(memory.loadPublished())
    return SourceMemory.prototype.loadReleased.call(memory)
  }
  memory.parking.sleep = (): void => {
    if (SourceMemory.prototype.loadReleased.call(memory) === memory.loadPublished())
      throw new Error('asleep, and nobody will wake it')
    // As if a component acknowledged later.
    memory.release(memory.loadPublished())
  }
  return { source, posted }
}

describe('everything is acknowledged at the n-th look', () => {
  for (const look of [1, 2, 3, 4]) {
    test(`postSync finds the room: look ${look}`, () => {
      const { source, posted } = openFull(look)
      source.volume('a').postSync(0, DATA)
      expect(source.memory.loadPublished()).toBe(posted + 1)
    })

    test(`flushSync posts what waits, and sees that it is done: look ${look}`, async () => {
      const { source, posted } = openFull(look)
      const written = source.volume('a').write(0, DATA)
      source.flushSync()
      expect(source.memory.loadPublished()).toBe(posted + 1)
      expect((await written).volume).toBe('a')
    })
  }
})

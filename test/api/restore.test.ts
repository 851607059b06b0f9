import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { failSecondaryComponent } from '../../src/chaos.ts'
import { type BackupGroup, openSecondary, type SetReport } from '../../src/index.ts'
import { openTestGroup, seeded, temporaryDirectory } from './support.ts'
import { startWriter } from './writers.ts'

const SIZE = 8 * 1024
const SHARED = ['a', 'b'] as const
/** Whose only writer, in a thread of its own, never pauses: block after block gets the next number. */
const RATE = 'rate'
const BLOCK_BYTES = 64
const BLOCKS = 64
const KEPT = 100
const BATCH = 32

interface Update {
  readonly volume: (typeof SHARED)[number]
  readonly set: number
  readonly sequence: number
  readonly offset: number
  readonly length: number
  /** 0: zeros. */
  readonly fill: number
}

/** Overlapping updates of a source, many under way at once, until it is told to stop. */
async function write(group: BackupGroup, n: number, isOver: () => boolean, updates: Update[]): Promise<void> {
  const source = group.openSource(`writer-${n}`, { component: n })
  const random = seeded(n + 1)
  while (!isOver()) {
    const batch = Array.from({ length: BATCH }, async () => {
      const volume = SHARED[random(SHARED.length)] as Update['volume']
      const offset = random(SIZE)
      const length = Math.min(SIZE - offset, 1 + random(random(8) === 0 ? 6000 : 400))
      const fill = random(6) === 0 ? 0 : 1 + random(255)
      const writer = source.volume(volume)
      const writing = fill === 0 ? writer.zero(offset, length) : writer.write(offset, Buffer.alloc(length, fill))
      const { set, sequence } = await writing
      updates.push({ volume, set, sequence, offset, length, fill })
    })
    await Promise.all(batch)
  }
}

/** Resolves when so many sets that hold something were applied. */
async function untilApplied(group: BackupGroup, sets: number): Promise<void> {
  let applied = 0
  await new Promise<void>((resolve) => {
    group.on('set', ({ state, updates }: SetReport) => {
      if (state === 'applied' && updates > 0 && ++applied === sets) resolve()
    })
  })
}

/** What the volumes hold after each of the sets, which rise; from what writers did and were told. */
function* modelsOf(sets: readonly number[], updates: readonly Update[]): Generator<Record<Update['volume'], Buffer>> {
  const inOrder = updates.toSorted((x, y) => x.set - y.set || x.sequence - y.sequence)
  const images = { a: Buffer.alloc(SIZE), b: Buffer.alloc(SIZE) }
  let next = 0
  for (const set of sets) {
    for (; (inOrder[next]?.set ?? Number.POSITIVE_INFINITY) <= set; next++) {
      const { volume, offset, length, fill } = inOrder[next] as Update
      images[volume].fill(fill, offset, offset + length)
    }
    yield images
  }
}

/** The numbers in the blocks are those of one instant: all that were written up to the last, and nothing after it. */
function lastNumber(image: Buffer): number {
  const found = Array.from({ length: BLOCKS }, (_, block) => image.readUInt32LE(block * BLOCK_BYTES))
  const last = Math.max(...found)
  if (last === 0) return 0
  for (const [block, number] of found.entries()) {
    // Number n went to block n - 1, counted round; some blocks may not have had one.
    const behind = (last - 1 - block + BLOCKS) % BLOCKS
    expect(number, `block ${block} when ${last} is the last number`).toBe(Math.max(0, last - behind))
    const words = image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
    for (let at = 0; at < BLOCK_BYTES; at += 4)
      if (words.readUInt32LE(at) !== number) expect.fail(`block ${block} is torn`)
  }
  return last
}

describe('restore', () => {
  test('each of 100 kept sets equals the model, while the group writes at full rate and a secondary component dies (R14)', async () => {
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      volumes: [...SHARED.map((name) => ({ name, size: SIZE })), { name: RATE, size: BLOCKS * BLOCK_BYTES }],
      // So many sets in so little time: at full rate each of them takes what there is.
      componentMemoryBytes: 2 * 2 ** 20,
      formationPeriodMs: 100,
      // Restoring takes its time, and what is restored is not to go meanwhile.
      secondary: { directory, history: { sets: 20_000 } }
    })
    let over = false
    const updates: Update[] = []
    const writers = [0, 1, 2].map((n) => write(group, n, () => over, updates))
    const stop = new SharedArrayBuffer(4)
    const task = { kind: 'never pause', blockBytes: BLOCK_BYTES, blocks: BLOCKS } as const
    const thread = startWriter(group.exportSource(RATE), RATE, task, stop)
    await untilApplied(group, KEPT / 2)
    await failSecondaryComponent(group, 0)
    await untilApplied(group, KEPT / 2)

    await using secondary = await openSecondary(directory, { readOnly: true })
    const { history } = await secondary.inspect()
    const kept = history.slice(-KEPT)
    expect(kept).toHaveLength(KEPT)
    const copies: { set: number; images: Buffer[] }[] = []
    const to = path.join(temporaryDirectory(), 'copy')
    for (const { set, consistencyTime } of kept) {
      const report = await secondary.restore(to, { set })
      expect(report).toMatchObject({ set, consistencyTime, state: 'applied' })
      copies.push({ set, images: [...SHARED, RATE].map((name) => readFileSync(path.join(to, `${name}.img`))) })
      rmSync(to, { recursive: true })
    }
    const { appliedSet } = await secondary.inspect()
    over = true
    new Int32Array(stop)[0] = 1
    await Promise.all([...writers, thread.answer])

    // Sets went on being applied all the time.
    expect(appliedSet).toBeGreaterThan((kept.at(-1)?.set ?? 0) + 10)
    const models = modelsOf(
      kept.map(({ set }) => set),
      updates
    )
    let before = 0
    for (const { set, images } of copies) {
      const model = models.next().value as Record<Update['volume'], Buffer>
      for (const [n, volume] of SHARED.entries()) {
        if (images[n]?.equals(model[volume]) !== true) expect.fail(`volume ${volume} of set ${set} is not as it was`)
      }
      const last = lastNumber(images[2] as Buffer)
      expect(last).toBeGreaterThanOrEqual(before)
      before = last
    }
    expect(before).toBeGreaterThan(KEPT)
  }, 300_000)

  test('a named set, by its name, from another directory that is given to a group again', async () => {
    const directory = temporaryDirectory()
    const options = { secondary: { directory, history: { sets: 5 } }, formationPeriodMs: 3600_000 }
    const group = await openTestGroup(options)
    const volume = group.openSource('s').volume('a')
    await volume.write(10, Buffer.from('before'))
    const named = await group.closeSet({ label: 'before-upgrade' })
    await volume.write(10, Buffer.from('after!'))
    const applied = await group.closeSet()
    await group.whenApplied(applied.set)
    await using secondary = await openSecondary(directory, { readOnly: true })
    const to = temporaryDirectory()
    const report = await secondary.restore(to, { set: 'before-upgrade' })
    expect(report).toEqual({ ...named, state: 'applied' })
    expect(readFileSync(path.join(to, 'a.img')).subarray(10, 16).toString()).toBe('before')
    await group.close()
    // The copies are images that a group can go on with.
    const other = await openTestGroup(options)
    await other.close()
    expect((await secondary.inspect()).history.map(({ label }) => label)).toEqual(['before-upgrade', undefined])
  })
})

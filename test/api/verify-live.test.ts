import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type BackupGroup, openSecondary } from '../../src/index.ts'
import { BlockSums, blocksOf } from '../../src/secondary/block-sums.ts'
import { differingBlocks } from '../../src/secondary/check-image.ts'
import { openTestGroup, seeded, temporaryDirectory } from './support.ts'

const VOLUMES = [
  { name: 'a', size: 3_000_000 },
  { name: 'b', size: 1_000_001 }
]
/** The first bytes of each volume that nobody writes to. */
const QUIET = 65_536

function openLive(directory: string): Promise<BackupGroup> {
  return openTestGroup({
    volumes: VOLUMES,
    secondary: { directory },
    formationPeriodMs: 2,
    componentMemoryBytes: 64 * 2 ** 20
  })
}

/** At full rate until it is told to stop: overlapping updates and zeros, none of them at the bounds of blocks. */
function writeOn(group: BackupGroup): { stop(): Promise<number> } {
  const source = group.openSource('writer')
  const writers = VOLUMES.map(({ name }) => source.volume(name))
  const random = seeded(5)
  const data = Buffer.alloc(6000)
  let stopped = false
  const write = async (): Promise<number> => {
    let posted = 0
    while (!stopped) {
      for (let n = 0; n < 50; n++) {
        const writer = writers[posted % 2] as (typeof writers)[number]
        const length = 1 + random(data.length)
        const offset = QUIET + random(writer.size - QUIET - length)
        if (posted % 50 === 49) await writer.zero(offset, length)
        else if (writer.tryPost(offset, data.fill(posted & 0xff).subarray(0, length))) posted++
        else await writer.ready(data.length)
        posted += +(posted % 50 === 49)
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await source.close()
    return posted
  }
  const writing = write()
  return {
    stop: () => {
      stopped = true
      return writing
    }
  }
}

/** What a comparison would say that does not know when sets are applied. */
function naively(directory: string): number {
  const volumes = VOLUMES.map(({ name, size }) => ({ path: path.join(directory, 'volumes', `${name}.img`), size }))
  const sums = BlockSums.open(path.join(directory, 'tidemark/checksums'), volumes, 'read') as BlockSums
  let found = 0
  for (const [n, volume] of volumes.entries()) {
    const all = [{ first: 0, count: blocksOf(volume.size) }]
    for (const { count } of differingBlocks(sums, n, volume, all)) found += count
  }
  sums.close()
  return found
}

test('no false alarm while a group writes at full rate, and damage is found meanwhile', async () => {
  const directory = temporaryDirectory()
  const group = await openLive(directory)
  const writer = writeOn(group)
  await group.whenApplied((await group.closeSet()).set)
  await using secondary = await openSecondary(directory, { readOnly: true })
  let wronglyFound = 0
  const firstSet = (await secondary.inspect()).appliedSet
  for (let n = 0; n < 6; n++) {
    wronglyFound += naively(directory)
    const report = await secondary.verify()
    expect(report).toMatchObject({ ok: true, hasWriter: true, journal: { problems: [] } })
  }
  // The group was at it: whoever takes no care would have been wrong.
  while (wronglyFound === 0) wronglyFound += naively(directory)
  expect((await secondary.inspect()).appliedSet).toBeGreaterThan(firstSet)
  const image = path.join(directory, 'volumes/b.img')
  const fd = fs.openSync(image, 'r+')
  fs.writeSync(fd, Buffer.from([1]), 0, 1, 9000)
  fs.closeSync(fd)
  expect(await secondary.verify()).toMatchObject({
    ok: false,
    volumes: [{ differences: [] }, { differences: [{ offset: 8192, length: 4096 }] }],
    journal: { problems: [] }
  })
  expect(await writer.stop()).toBeGreaterThan(1000)
  await group.close()
  expect(await secondary.verify()).toMatchObject({
    ok: false,
    hasWriter: false,
    volumes: [{ differences: [] }, { differences: [{ offset: 8192, length: 4096 }] }]
  })
})

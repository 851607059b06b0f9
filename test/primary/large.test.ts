import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { seeded, temporaryDirectory } from '../api/support.ts'
import { losePower, run } from './crash-support.ts'

const SIZE = 4 * 2 ** 30
const ONE_PERCENT = Math.floor(SIZE / 100)

test('4 GiB, killed under random writes inside one contiguous 1 %: less than 3 % of it is read, and it is identical', {
  timeout: 120_000
}, async () => {
  const draw = seeded(9)
  const directory = temporaryDirectory()
  const primary = path.join(directory, 'primary.img')
  fs.writeFileSync(primary, '')
  fs.truncateSync(primary, SIZE)
  const from = 1_234_567_890
  const all = { from, to: from + ONE_PERCENT }
  const task = { directory, size: SIZE, all, writes: all }

  const first = await run({ ...task, seed: 1, dieAt: 2500 })
  expect(first.signal).toBe('SIGKILL')
  // Nothing was in either of them: there was nothing to read.
  expect(first.report).toMatchObject({ same: true, synchronisation: { reason: 'first', bytesRead: 0 } })

  // Once without, once with what was not synced being lost.
  for (const isPowerLost of [false, true]) {
    const lost = isPowerLost ? losePower(primary, from, draw) + losePower(`${primary}.tidemark`, 0, draw) : 0
    expect(lost > 0).toBe(isPowerLost)
    const again = await run({ ...task, seed: 2, dieAt: isPowerLost ? 0 : 2500 })
    expect(again.report).toMatchObject({ same: true, synchronisation: { reason: 'crash', mixedSets: 0 } })
    const { bytesRead = 0, bytesSent = 0 } = again.report?.synchronisation ?? {}
    expect(bytesSent).toBeGreaterThan(0)
    expect(bytesRead + bytesSent).toBeLessThan(SIZE * 0.03)
  }
  // Outside of it both are as they were: without a block.
  for (const file of [primary, path.join(directory, 'secondary/volumes/a.img')]) {
    expect(fs.statSync(file).blocks * 512).toBeLessThanOrEqual(ONE_PERCENT + 2 ** 20)
  }
})

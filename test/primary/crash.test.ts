import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { seeded } from '../api/support.ts'
import { directoryInMemory, losePower, run } from './crash-support.ts'

// More regions than the log may hold at once.
const SIZE = 5 * 2 ** 20 + 1000
const ROUNDS = Number(process.env.TIDEMARK_CRASH_ROUNDS ?? 12)
const ALL = { from: 0, to: SIZE }

/** In half of the rounds the power is lost as well. A command for more of them: TIDEMARK_CRASH_ROUNDS=300 npx vitest run test/primary/crash.test.ts */
test('SIGKILL, and power loss, under random writes: resynchronised again and again, it is identical', {
  timeout: 20_000 + ROUNDS * 10_000
}, async () => {
  const draw = seeded(Number(process.env.TIDEMARK_CRASH_SEED ?? 1))
  const directory = directoryInMemory()
  const primary = path.join(directory, 'primary.img')
  fs.writeFileSync(primary, Buffer.alloc(SIZE, 'the first content '))
  const reasons: string[] = []
  let [bytesSent, losses] = [0, 0]
  for (let round = 0; round < ROUNDS; round++) {
    const isLast = round === ROUNDS - 1
    const dieAt = isLast ? 0 : 1 + draw(round % 3 === 0 ? 60 : 500)
    // All over it: the log is full, and regions leave it all the time.
    const base = draw(SIZE - 2 ** 20)
    const writes = draw(3) === 0 ? { from: base, to: base + 2 ** 20 } : ALL
    const activityRegions = draw(2) === 0 ? 64 : 12
    const { report, signal } = await run({
      directory,
      size: SIZE,
      seed: draw(2 ** 20),
      dieAt,
      all: ALL,
      writes,
      activityRegions
    })
    expect(signal).toBe(isLast ? null : 'SIGKILL')
    if (report !== undefined) {
      const { reason, bytesRead, totalBytes, mixedSets } = report.synchronisation
      expect(report.same, `round ${round}, ${reason}`).toBe(true)
      reasons.push(reason)
      if (reason === 'crash') {
        expect(mixedSets).toBe(0)
        expect(bytesRead).toBe(totalBytes)
        bytesSent += report.synchronisation.bytesSent
      }
    }
    if (draw(2) === 0) continue
    for (const file of [primary, `${primary}.tidemark`]) losses += losePower(file, 0, draw)
  }
  // It was not a matter of nothing.
  expect(reasons.filter((reason) => reason === 'crash').length).toBeGreaterThan(ROUNDS / 4)
  expect(bytesSent).toBeGreaterThan(0)
  expect(losses).toBeGreaterThan(0)
})

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { seeded } from '../api/support.ts'
import type { WritingReport, WritingTask } from './writing-program.ts'

// More regions than the log may hold at once.
const SIZE = 5 * 2 ** 20 + 1000
const ROUNDS = Number(process.env.TIDEMARK_CRASH_ROUNDS ?? 14)
const SECTOR = 512

async function run(task: WritingTask): Promise<{ report: WritingReport | undefined; signal: string | null }> {
  const program = fileURLToPath(new URL('./writing-program.ts', import.meta.url))
  const child = spawn(process.execPath, [program, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [said, errors] = ['', '']
  child.stdout.on('data', (text) => {
    said += text
  })
  child.stderr.on('data', (text) => {
    errors += text
  })
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (...ended) => resolve(ended))
  )
  expect(code === 0 || signal === 'SIGKILL', errors).toBe(true)
  return { report: said === '' ? undefined : (JSON.parse(said) as WritingReport), signal }
}

/** Syncs cost nothing there; what they mean is up to this test. */
function directoryInMemory(): string {
  const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const directory = fs.mkdtempSync(path.join(parent, 'tidemark-'))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** What was not synced may be lost, sector by sector: each is as it was then, or as it was written last. */
function losePower(file: string, draw: (bound: number) => number): number {
  const shadow = `${file}.shadow`
  if (!fs.existsSync(shadow)) return 0
  const [now, then] = [fs.readFileSync(file), fs.readFileSync(shadow)]
  let lost = 0
  for (let at = 0; at < now.length; at += SECTOR) {
    const old = then.subarray(at, at + SECTOR)
    if (now.subarray(at, at + SECTOR).equals(old) || draw(2) === 0) continue
    now.set(old, at)
    lost++
  }
  // In place: it is the same file for the file system.
  const fd = fs.openSync(file, 'r+')
  fs.writeSync(fd, now)
  fs.closeSync(fd)
  // All of it is on the disk now.
  fs.rmSync(shadow)
  return lost
}

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
    const dieAt = isLast ? 0 : 1 + draw(round % 3 === 0 ? 60 : 900)
    // All over it: the log is full, and regions leave it all the time.
    const spread = draw(3) === 0 ? 2 ** 20 : SIZE
    const activityRegions = draw(2) === 0 ? 64 : 12
    const { report, signal } = await run({ directory, size: SIZE, seed: draw(2 ** 20), dieAt, spread, activityRegions })
    expect(signal).toBe(isLast ? null : 'SIGKILL')
    if (report !== undefined) {
      const { reason, bytesRead, totalBytes, mixedSets } = report.synchronisation
      expect(report.same, `round ${round}, ${reason}`).toBe(true)
      reasons.push(reason)
      if (reason === 'crash') {
        expect(mixedSets).toBe(0)
        expect(bytesRead).toBeLessThanOrEqual(2 * totalBytes)
        bytesSent += report.synchronisation.bytesSent
      }
    }
    if (draw(2) === 0) continue
    for (const file of [primary, `${primary}.tidemark`]) losses += losePower(file, draw)
  }
  // It was not a matter of nothing.
  expect(reasons.filter((reason) => reason === 'crash').length).toBeGreaterThan(ROUNDS / 4)
  expect(bytesSent).toBeGreaterThan(0)
  expect(losses).toBeGreaterThan(0)
})

/**
 * Processes with a group under load are ended with SIGKILL at random instants, again and again on the same directory: while
 * they open it, finish what the one before left, and write. TIDEMARK_KILLS for more of them, TIDEMARK_SEED for others.
 */
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { KilledModel, type KilledRound } from './killed-model.ts'
import { type KilledTask, SOURCES } from './killed-updates.ts'
import { flipByte, seeded, temporaryDirectory } from './support.ts'

const KILLS = Number(process.env.TIDEMARK_KILLS ?? 200)
const SEED = Number(process.env.TIDEMARK_SEED ?? 1)
/** At once, each on a directory of its own. */
const LANES = 2
/** From when on it may die, how long after that, and how many of ten do. */
const TIMES = [
  { from: 'start', withinMs: 400, ofTen: 2 },
  { from: 'running', withinMs: 100, ofTen: 2 },
  { from: 'secured', withinMs: 40, ofTen: 6 }
] as const

const PROGRAM = path.join(import.meta.dirname, 'killed-program.ts')

interface End {
  /** The last set that it was told secured; 0 for none. */
  readonly secured: number
  readonly hasRun: boolean
}

interface Time {
  readonly from: (typeof TIMES)[number]['from']
  readonly afterMs: number
}

/** Ends it so many milliseconds after its start, or after it has said for the first time what is waited for. */
function killed(task: KilledTask, { from, afterMs }: Time, cache: string): Promise<End> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache }
    })
    let timer: NodeJS.Timeout | undefined
    const reached = (what: string): void => {
      if (what === from) timer ??= setTimeout(() => child.kill('SIGKILL'), afterMs)
    }
    let secured = 0
    let hasRun = false
    reached('start')
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [what = '', set] = line.split(' ')
      hasRun = true
      if (set !== undefined) secured = Number(set)
      reached(what)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (signal === 'SIGKILL') resolve({ secured, hasRun })
      else reject(new Error(`it ended by itself: ${code} ${signal}`))
    })
  })
}

/** Compiled code is kept at the end of a process, which those that are killed do not have: with it they start in half the time. */
function compile(root: string): void {
  const receipts = SOURCES.map((name) => path.join(root, name))
  const task = { directory: path.join(root, 'compiled'), seed: 0, round: 0, done: [0, 0, 0], receipts, isOrderly: true }
  const env = { ...process.env, NODE_COMPILE_CACHE: path.join(root, 'cache') }
  execFileSync(process.execPath, [PROGRAM, JSON.stringify(task)], { env })
}

function drawTime(random: () => number): Time {
  const all = TIMES.flatMap((time) => Array.from({ length: time.ofTen }, () => time))
  const { from, withinMs } = all[Math.floor(random() * all.length)] ?? TIMES[0]
  return { from, afterMs: random() * withinMs }
}

/** One process after the other on one directory. */
async function lane(seed: number, kills: number, root: string): Promise<(KilledRound & End)[]> {
  const random = seeded(seed)
  const model = new KilledModel(seed)
  const directory = path.join(root, `secondary-${seed}`)
  const rounds: (KilledRound & End)[] = []
  for (let round = 0; round < kills; round++) {
    const receipts = SOURCES.map((name) => path.join(root, `${seed}-${round}-${name}`))
    const time = drawTime(random)
    const leaves = random() < 0.5
    const task = { directory, seed, round, done: model.done, receipts }
    try {
      const end = await killed(task, time, path.join(root, 'cache'))
      if (!fs.existsSync(path.join(directory, 'tidemark/format.json'))) continue
      // Half of them leave it to the next process to finish what this one left: that one may be killed in it.
      const checked = leaves ? `${directory}-copy` : directory
      if (leaves) fs.cpSync(directory, checked, { recursive: true })
      rounds.push({ ...(await model.check(checked, round, end.secured, receipts)), ...end })
      if (leaves) fs.rmSync(checked, { recursive: true })
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}: ${(error as Error).message}`, { cause: error })
    }
  }
  return rounds
}

test(`${KILLS} times at a random instant: one set boundary, never before what was told secured`, {
  timeout: 1_800_000
}, async () => {
  const root = temporaryDirectory()
  compile(root)
  const lanes = Array.from({ length: LANES }, (_, n) => lane(SEED * LANES + n, KILLS / LANES, root))
  const rounds = (await Promise.all(lanes)).flat()
  const count = (of: (round: KilledRound & End) => boolean): number => rounds.filter(of).length
  const sum = (of: (round: KilledRound) => number): number => rounds.reduce((total, round) => total + of(round), 0)
  // A few may die before there is a directory.
  expect(rounds.length).toBeGreaterThan(KILLS * 0.9)
  expect(count(({ hasRun }) => hasRun)).toBeGreaterThan(KILLS * 0.5)
  expect(count(({ hasRun }) => !hasRun)).toBeGreaterThan(KILLS * 0.05)
  expect(count(({ secured }) => secured > 0)).toBeGreaterThan(KILLS * 0.4)
  // Where something acknowledged is not in the volumes, they must be exactly at the set before.
  expect(count(({ hasLost }) => hasLost)).toBeGreaterThan(KILLS * 0.3)
  expect(sum(({ steps }) => steps)).toBeGreaterThan(KILLS * 5)
})

test('what is checked would be noticed', { timeout: 120_000 }, async () => {
  const root = temporaryDirectory()
  const directory = path.join(root, 'secondary')
  const receipts = SOURCES.map((name) => path.join(root, name))
  const task = { directory, seed: 7, round: 0, done: SOURCES.map(() => 0), receipts }
  const { secured } = await killed(task, { from: 'secured', afterMs: 200 }, path.join(root, 'cache'))
  const check = (told = secured, known = receipts): Promise<KilledRound> =>
    new KilledModel(7).check(directory, 0, told, known)
  const { steps } = await check()
  expect(steps).toBeGreaterThan(0)
  await expect(check(secured + 10_000)).rejects.toThrow('was told secured')
  const image = path.join(directory, 'volumes/a.img')
  const bytes = fs.readFileSync(image)
  // In an area of nobody; in one of a source; an earlier state.
  for (const at of [bytes.length - 1, bytes.findIndex((byte) => byte !== 0)]) {
    flipByte(image, at)
    await expect(check()).rejects.toThrow(/what nobody wrote|are not what they were after/)
    flipByte(image, at)
  }
  fs.writeFileSync(image, Buffer.alloc(bytes.length))
  await expect(check()).rejects.toThrow('are not what they were after')
  fs.writeFileSync(image, bytes)
  const rotated = receipts.map((_, n) => receipts[(n + 1) % receipts.length] as string)
  await expect(check(secured, rotated)).rejects.toThrow()
  expect((await check()).steps).toBe(steps)
})

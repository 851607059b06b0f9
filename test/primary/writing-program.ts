/**
 * A program that opens a group and a primary file, brings the secondary up to date, and then writes until it kills itself, at
 * an instant that was drawn: before or after any call on the primary file or its log, or when a write is acknowledged.
 *
 * It also keeps, beside the primary file and its log, what a power loss would leave at least: `X.shadow` is what may change of X, as it
 * was when its last sync began.
 */
import fs from 'node:fs'
import path from 'node:path'
import { openGroup } from '../../src/index.ts'
import { Random } from '../../src/sim/random.ts'
import { type Range, readRange } from './ranges.ts'

export interface WritingTask {
  readonly directory: string
  readonly size: number
  readonly seed: number
  /** Counted calls until it dies; 0: it does not, it only looks whether both are the same. */
  readonly dieAt: number
  /** Nothing is ever written outside of it. */
  readonly all: Range
  /** Where this run writes. */
  readonly writes: Range
  readonly activityRegions?: number
  /** Nobody writes while the secondary is brought up to date. */
  readonly isQuiet?: boolean
}

/** What it prints when the secondary is up to date. */
export interface WritingReport {
  readonly same: boolean
  readonly synchronisation: {
    reason: string
    bytesRead: number
    bytesSent: number
    totalBytes: number
    mixedSets: number
  }
}

const task = JSON.parse(process.argv[2] ?? '') as WritingTask
const { directory, size, all, writes, dieAt } = task
const primary = path.join(directory, 'primary.img')
const random = new Random(task.seed)
const draw = (bound: number): number => random.below(bound)

let counted = 0
function count(): void {
  if (++counted === dieAt) process.kill(process.pid, 'SIGKILL')
}

const handle = await fs.promises.open(primary)
const prototype = Object.getPrototypeOf(handle) as fs.promises.FileHandle
await handle.close()
const { datasync, write } = prototype
const isWatched = (file: string): boolean => file === primary || file === `${primary}.tidemark`

function pathOf(opened: fs.promises.FileHandle): string {
  return fs.readlinkSync(`/proc/self/fd/${opened.fd}`)
}

function whatMayChange(file: string): Buffer {
  return file === primary ? readRange(file, all) : fs.readFileSync(file)
}

prototype.datasync = async function (this: fs.promises.FileHandle) {
  const file = pathOf(this)
  count()
  if (isWatched(file)) fs.writeFileSync(`${file}.snapshot`, whatMayChange(file))
  await datasync.call(this)
  if (isWatched(file)) fs.renameSync(`${file}.snapshot`, `${file}.shadow`)
  count()
}
prototype.write = async function (this: fs.promises.FileHandle, ...given: unknown[]) {
  const file = pathOf(this)
  // It was made, and synced, by other calls.
  if (isWatched(file) && !fs.existsSync(`${file}.shadow`)) fs.writeFileSync(`${file}.shadow`, whatMayChange(file))
  count()
  const written = await (write as (...args: unknown[]) => Promise<unknown>).apply(this, given)
  count()
  return written
} as typeof write

const group = await openGroup({
  volumes: [{ name: 'a', size }],
  components: 2,
  spares: 0,
  componentMemoryBytes: 16 * 2 ** 20,
  formationPeriodMs: 5 + draw(40),
  secondary: { directory: path.join(directory, 'secondary'), components: 1 }
})
const file = await group.openPrimaryFile(
  'a',
  primary,
  task.activityRegions === undefined ? {} : { activityRegions: task.activityRegions }
)

async function writeOne(): Promise<void> {
  const length = 1 + draw(draw(4) === 0 ? 40_000 : 3000)
  const offset = writes.from + draw(writes.to - writes.from - length)
  const kind = draw(20)
  if (kind === 0) await file.zero(offset, length)
  else await file.write(offset, Buffer.alloc(length, 1 + draw(255)))
  count()
  if (kind === 1 && draw(10) === 0) await file.sync()
}

const untilUp = file.synchronised()
// Some write while the secondary is brought up to date.
const eager = task.isQuiet !== true && draw(2) === 0 ? Array.from({ length: draw(30) }, writeOne) : []
await Promise.all([untilUp, ...eager])
await group.closeSet()
await group.whenApplied()
const report: WritingReport = {
  same: readRange(primary, all).equals(readRange(path.join(directory, 'secondary/volumes/a.img'), all)),
  synchronisation: file.synchronisation
}
fs.writeSync(1, `${JSON.stringify(report)}\n`)
if (dieAt === 0) await group.close({ drain: false })
else
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (;;) await writeOne()
    })
  )

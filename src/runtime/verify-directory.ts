import { setTimeout as wait } from 'node:timers/promises'
import { TidemarkError } from '../errors.ts'
import { BlockSums, blocksOf, SUM_BLOCK_BYTES } from '../secondary/block-sums.ts'
import { beginHistoryCheck, judgeHistory } from '../secondary/check-history.ts'
import type { BlockRange } from '../secondary/check-image.ts'
import { type Expected, judgeJournal, readExpected } from '../secondary/check-journal.ts'
import { beginSegmentCheck, type SegmentCheck } from '../secondary/check-segment.ts'
import { Differences } from '../secondary/differences.ts'
import { openingError, sizeOf } from '../secondary/files.ts'
import { type Format, type Layout, layoutOf, notSecondary, readFormat, storeVolumes } from '../secondary/format.ts'
import type { StoreVolume } from '../secondary/images.ts'
import { listSegments, type SegmentName } from '../secondary/journal-reader.ts'
import { findWriter } from '../secondary/lock.ts'
import { CeilingFile } from '../secondary/state.ts'
import type { JournalProblem, VerifyProgress, VerifyReport } from '../types.ts'
import { VerifyPool } from './verify-pool.ts'

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  /** Whoever asks holds the directory's lock. */
  readonly isLocked: boolean
  /** How long blocks that may just be written are looked at again and again. */
  readonly patienceMs?: number
}

/** One task of a thread: so often progress is told, and so soon an abort is heard. */
const SLICE_BYTES = 16 << 20
const SLICE_BLOCKS = SLICE_BYTES / SUM_BLOCK_BYTES
const PATIENCE_MS = 10_000
const PAUSE_MS = 5
const PROGRESS_EVERY_MS = 100
/** What is wrong with the journal while someone writes to it must be wrong twice. */
const JOURNAL_LOOKS = 3

/**
 * Compares a secondary directory with its own checksums: journal, commit log and volumes. Changes nothing, needs no lock, and
 * may be done while a group writes.
 * @throws TidemarkError TIDEMARK_LOCKED where blocks were being written as long as it was willing to wait
 */
export async function verifyDirectory(directory: string, options: VerifyOptions): Promise<VerifyReport> {
  options.signal?.throwIfAborted()
  const pool = new VerifyPool(options.signal)
  try {
    return await new DirectoryVerifier(layoutOf(directory), options, pool).verify()
  } finally {
    await pool.close()
  }
}

interface Piece {
  readonly volume: number
  readonly range: BlockRange
}

class DirectoryVerifier {
  private readonly layout: Layout
  private readonly options: VerifyOptions
  private readonly pool: VerifyPool
  private readonly format: Format
  private readonly volumes: StoreVolume[]
  private readonly hasSums: boolean
  private readonly differences: Differences[]
  private expected: Expected
  private readonly appliedAtBegin: number
  private unfinishedSet: number | null = null
  private hasWriter: boolean
  private undecidedBlocks = 0
  private hasGivenUp = false
  private journalBytes = 0
  private historyBytes = 0
  private bytes = 0
  private totalBytes = 0
  private readonly began = performance.now()
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(layout: Layout, options: VerifyOptions, pool: VerifyPool) {
    const format = readFormat(layout)
    if (format === null) throw notSecondary(layout.directory)
    this.layout = layout
    this.options = options
    this.pool = pool
    this.format = format
    this.volumes = storeVolumes(layout, format)
    this.differences = this.volumes.map(({ size }) => new Differences(size))
    this.hasWriter = this.findsWriter()
    CeilingFile.open(layout.ceiling, 'read').close()
    const sums = BlockSums.open(layout.checksums, this.volumes, 'read')
    this.hasSums = sums !== null
    sums?.close()
    this.expected = readExpected(layout)
    this.appliedAtBegin = this.expected.state.appliedSet
  }

  async verify(): Promise<VerifyReport> {
    if (this.hasSums) this.totalBytes += this.volumes.reduce((sum, { size }) => sum + size, 0)
    const problems = await this.verifyJournal()
    const historyProblems = await this.verifyHistory()
    for (const [n, volume] of this.volumes.entries()) this.checkLength(n, volume)
    if (this.hasSums) await this.pool.each(this.pieces(), (piece) => this.verifyPiece(piece))
    this.hasWriter ||= this.findsWriter()
    return this.report(problems, historyProblems)
  }

  private async verifyJournal(): Promise<JournalProblem[]> {
    let problems = await this.lookAtJournal()
    for (let looks = 1; looks < JOURNAL_LOOKS && problems.length > 0 && this.findsWriter(); looks++) {
      this.hasWriter = true
      this.expected = readExpected(this.layout)
      const again = (await this.lookAtJournal()).map((problem) => JSON.stringify(problem))
      problems = problems.filter((problem) => again.includes(JSON.stringify(problem)))
    }
    return problems
  }

  private async lookAtJournal(): Promise<JournalProblem[]> {
    const checks = this.segments().map((segment) => beginSegmentCheck(segment))
    const commitLog = sizeOf(this.layout.commits) ?? 0
    this.totalBytes += commitLog
    this.count(commitLog)
    this.journalBytes = commitLog + (await this.checkAll(checks))
    return judgeJournal(this.expected, checks)
  }

  /** A part that has its name is not written again: one look is enough. */
  private async verifyHistory(): Promise<JournalProblem[]> {
    const expected = readExpected(this.layout)
    const checks = beginHistoryCheck(this.layout)
    this.historyBytes = await this.checkAll(checks)
    return judgeHistory(this.layout, expected, checks)
  }

  /** Returns how many bytes were read. */
  private async checkAll(checks: SegmentCheck[]): Promise<number> {
    for (const { segment } of checks) this.totalBytes += sizeOf(segment.path) ?? 0
    let bytes = 0
    await this.pool.each(checks.keys(), async (n) => {
      for (let check = checks[n] as SegmentCheck; !check.isDone; checks[n] = check) {
        const outcome = await this.pool.run({ kind: 'segment', check, budgetBytes: SLICE_BYTES })
        if (!('check' in outcome)) throw new Error('a segment was asked for')
        const read = outcome.check.position - check.position
        check = outcome.check
        bytes += read
        this.count(read)
      }
    })
    return bytes
  }

  private segments(): SegmentName[] {
    try {
      return listSegments(this.layout.journal)
    } catch (cause) {
      throw openingError('read', this.layout.journal, cause)
    }
  }

  /** Opening it for writing would refuse it. */
  private checkLength(n: number, { path, size }: StoreVolume): void {
    const found = sizeOf(path) ?? 0
    const [from, to] = found < size ? [found, size] : [size, found]
    if (from < to) this.differences[n]?.add(from, to)
  }

  private *pieces(): Generator<Piece> {
    for (const [volume, { size }] of this.volumes.entries()) {
      const blocks = blocksOf(size)
      for (let first = 0; first < blocks; first += SLICE_BLOCKS) {
        yield { volume, range: { first, count: Math.min(SLICE_BLOCKS, blocks - first) } }
      }
    }
  }

  private async verifyPiece({ volume, range }: Piece): Promise<void> {
    const { layout, options, volumes, appliedAtBegin, pool } = this
    const { isLocked, patienceMs = PATIENCE_MS } = options
    const until = this.hasGivenUp ? 0 : performance.now() + patienceMs
    let ranges: readonly BlockRange[] = [range]
    for (;;) {
      const blocks = { directory: layout.directory, volumes, volume, ranges, appliedAtBegin, isLocked }
      const outcome = await pool.run({ kind: 'blocks', blocks })
      if (!('judged' in outcome)) throw new Error('blocks were asked for')
      const { wrong, undecided, unfinishedSet } = outcome.judged
      for (const { first, count } of wrong) {
        this.differences[volume]?.add(first * SUM_BLOCK_BYTES, (first + count) * SUM_BLOCK_BYTES)
      }
      this.unfinishedSet ??= unfinishedSet
      ranges = undecided
      if (ranges.length === 0 || performance.now() >= until) break
      await wait(PAUSE_MS)
    }
    // A writer that stands still for one piece does so for all: they are looked at, not waited for.
    this.hasGivenUp ||= ranges.length > 0
    for (const { count } of ranges) this.undecidedBlocks += count
    const size = (volumes[volume] as StoreVolume).size
    this.count(Math.min(SLICE_BYTES, size - range.first * SUM_BLOCK_BYTES))
  }

  private report(problems: JournalProblem[], historyProblems: JournalProblem[]): VerifyReport {
    const volumes = this.format.volumes.map(({ target, size }, n) => ({
      name: target,
      bytes: size,
      differences: (this.differences[n] as Differences).list()
    }))
    const isWhole =
      problems.length + historyProblems.length === 0 && volumes.every(({ differences }) => differences.length === 0)
    if (isWhole && this.undecidedBlocks > 0) throw this.neverStill()
    return {
      ok: isWhole && this.hasSums,
      set: readExpected(this.layout).state.appliedSet,
      volumes,
      journal: { bytes: this.journalBytes, problems },
      history: { bytes: this.historyBytes, problems: historyProblems },
      checksums: this.hasSums ? 'compared' : 'missing',
      ...(this.unfinishedSet !== null && { unfinishedSet: this.unfinishedSet }),
      hasWriter: this.hasWriter
    }
  }

  private neverStill(): TidemarkError {
    const { layout, undecidedBlocks } = this
    const message = `${undecidedBlocks} blocks in ${layout.directory} cannot be judged: they are in sets that are being applied, or one is since a writer ended. Try again, hold the group's applying (holdApplied), or recover the directory`
    return new TidemarkError('TIDEMARK_LOCKED', message, { path: layout.directory, blocks: undecidedBlocks })
  }

  private findsWriter(): boolean {
    return !this.options.isLocked && findWriter(this.layout.lock) !== null
  }

  private count(bytes: number): void {
    this.bytes += bytes
    const { onProgress } = this.options
    const now = performance.now()
    if (onProgress === undefined || (now - this.toldAt < PROGRESS_EVERY_MS && this.bytes < this.totalBytes)) return
    this.toldAt = now
    const seconds = (now - this.began) / 1000
    onProgress({ bytes: this.bytes, totalBytes: this.totalBytes, bytesPerSecond: this.bytes / seconds })
  }
}

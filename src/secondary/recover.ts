import fs from 'node:fs'
import { TidemarkError } from '../errors.ts'
import type { Part } from './block.ts'
import { BlockSums } from './block-sums.ts'
import { type Commit, readCommits, syncCommits, writeCommits } from './commit-log.ts'
import { ioError } from './files.ts'
import { type Format, type Layout, storeVolumes, undoNumbers } from './format.ts'
import { Images } from './images.ts'
import { listSegments, missingPart, readSegment, type SegmentEnd, type SegmentName } from './journal-reader.ts'
import { lowestLease } from './leases.ts'
import { isAsListed, isCovered } from './manifest.ts'
import { type OpenPart, SetApplier } from './set-applier.ts'
import { type SecondaryState, StateFile } from './state.ts'
import { SumKeeper } from './sum-keeper.ts'
import { UndoWriter } from './undo.ts'

/** By component, in the order in which they are applied. */
type PartsFound = Map<number, Part[]>

interface Found {
  /** By set, then by component. */
  readonly parts: Map<number, Map<number, Part>>
  readonly ends: SegmentEnd[]
}

/**
 * Finishes what the last writer left: sets that are secured but not applied are redone, in order, whether or not they had
 * been begun; parts of sets that were never secured are dropped. Afterwards the journal is empty. The caller holds the
 * lock. Can be killed and started again at any point.
 */
export function recover(layout: Layout, format: Format, signal?: AbortSignal): void {
  const state = StateFile.open(layout.state, 'write')
  try {
    const waiting = waitingCommits(layout, state.current)
    const segments = listSegments(layout.journal)
    if (waiting.length > 0) redo(layout, format, state, waiting, segments, signal)
    empty(layout, state, segments)
  } finally {
    state.close()
  }
}

/** After an orderly end, nothing is left to do: the journal need not stay until the next opening. The caller holds the lock. */
export function tidy(layout: Layout): void {
  const state = StateFile.open(layout.state, 'write')
  try {
    if (waitingCommits(layout, state.current).length === 0) empty(layout, state, listSegments(layout.journal))
  } finally {
    state.close()
  }
}

/** Secured, not applied; in order. The commit records decide what is secured: the state may lag behind them by one. */
export function waitingCommits(layout: Layout, state: SecondaryState): Commit[] {
  const { commits: all, damagedBefore } = readCommits(layout.commits)
  const commits = all.filter((commit) => commit.set > state.appliedSet)
  if (damagedBefore > state.appliedSet) {
    const message = `${layout.commits} has a damaged record before that of set ${damagedBefore}`
    throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: layout.commits, before: damagedBefore })
  }
  const last = commits.at(-1)?.set ?? state.appliedSet
  const missing = Math.max(state.securedSet, state.applying ?? 0)
  if (missing > last) {
    const message = `${layout.commits} has no record of set ${missing}, which was secured: it was damaged`
    throw new TidemarkError('TIDEMARK_CORRUPT', message, { path: layout.commits, set: missing })
  }
  return commits
}

function redo(
  layout: Layout,
  format: Format,
  state: StateFile,
  waiting: readonly Commit[],
  segments: readonly SegmentName[],
  signal: AbortSignal | undefined
): void {
  const volumes = storeVolumes(layout, format)
  const images = new Images(volumes)
  const sums = BlockSums.open(layout.checksums, volumes, 'write')
  try {
    const found = findParts(segments, (set) => waiting.some((commit) => isCovered(commit, set)))
    // All of them are looked for before the first is applied: a damaged journal leaves the images as they are.
    const complete = waiting.map((commit) => partsOf(commit, found))
    // What a killed writer wrote last is perhaps not on the disk yet: no image may be ahead of the record that says why.
    syncCommits(layout.commits)
    const keeper = SumKeeper.of(images, sums, volumes)
    const keepsHistory = state.current.history !== null
    const appliers = new Map<number, SetApplier>()
    const applierOf = (component: number): SetApplier => {
      const known = appliers.get(component)
      if (known) return known
      const undo = keepsHistory ? undoOf(layout, format, component, images) : null
      const made = new SetApplier(images, volumes.length, keeper, undo)
      appliers.set(component, made)
      return made
    }
    for (const [n, commit] of waiting.entries()) {
      signal?.throwIfAborted()
      if (commit.set > state.current.securedSet) state.secure(commit.set, commit.time)
      state.announce(commit.set)
      for (const [component, parts] of complete[n] as PartsFound) {
        // Only the first can have been begun: one set is applied at a time.
        apply(applierOf(component), commit.set, parts, n === 0)
      }
      state.mark(commit.set, commit.time)
    }
  } finally {
    images.close()
    sums?.close()
  }
}

function findParts(segments: readonly SegmentName[], isWanted: (set: number) => boolean): Found {
  const parts = new Map<number, Map<number, Part>>()
  const ends: SegmentEnd[] = []
  for (const segment of segments) {
    const end = readSegment(segment, (part) => {
      if (!isWanted(part.set)) return
      const ofSet = parts.get(part.set) ?? new Map<number, Part>()
      ofSet.set(segment.component, part)
      parts.set(part.set, ofSet)
    })
    if (end !== null) ends.push(end)
  }
  return { parts, ends }
}

/** By component, in the order in which they are applied: set by set, where several were secured as one. */
function partsOf(commit: Commit, found: Found): PartsFound {
  const sets = [...found.parts.keys()].filter((set) => isCovered(commit, set)).sort((a, b) => a - b)
  const parts: PartsFound = new Map()
  for (const component of commit.parts.keys()) {
    const own = sets.flatMap((set) => found.parts.get(set)?.get(component) ?? [])
    if (!isAsListed(commit, component, own)) {
      throw missingPart(component, commit.first ?? commit.set, 'the set was secured', found.ends)
    }
    parts.set(component, own)
  }
  return parts
}

function undoOf(layout: Layout, format: Format, component: number, images: Images): UndoWriter {
  const undo = new UndoWriter({ directory: layout.history, component, numbers: undoNumbers(format) }, images)
  undo.syncNames()
  return undo
}

function apply(applier: SetApplier, set: number, parts: readonly Part[], isRedone: boolean): void {
  const open: OpenPart[] = []
  try {
    for (const { frames, path } of parts) open.push({ frames, path, fd: fs.openSync(path, 'r') })
    applier.begin(set, open, isRedone)
    while (!applier.applySome());
  } finally {
    applier.close()
    for (const { fd } of open) fs.closeSync(fd)
  }
}

/** Nothing of the journal is needed once the state says applied; of the records, those of kept sets. */
function empty(layout: Layout, state: StateFile, segments: readonly SegmentName[]): void {
  // Once more, durably: a killed process may have written the mark without having synced it.
  state.mark(state.current.appliedSet, state.current.appliedTime)
  const { appliedSet, history } = state.current
  const keptFrom = Math.min(history?.oldest ?? appliedSet, lowestLease(layout.leases))
  const { commits } = readCommits(layout.commits)
  try {
    for (const segment of segments) fs.unlinkSync(segment.path)
  } catch (cause) {
    throw ioError('empty', layout.journal, cause)
  }
  writeCommits(
    layout.commits,
    commits.filter(({ set }) => set >= keptFrom)
  )
}

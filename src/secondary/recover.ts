import fs from 'node:fs'
import { TidemarkError } from '../errors.ts'
import { Applier } from './applier.ts'
import type { Part } from './block.ts'
import { BlockSums } from './block-sums.ts'
import { type Commit, readCommits, syncCommits, writeCommits } from './commit-log.ts'
import { ioError } from './files.ts'
import { type Format, imagePath, type Layout } from './format.ts'
import { Images } from './images.ts'
import { listSegments, missingPart, readSegment, type SegmentEnd, type SegmentName } from './journal-reader.ts'
import { isAsListed, isCovered } from './manifest.ts'
import { type SecondaryState, StateFile } from './state.ts'
import { SumKeeper } from './sum-keeper.ts'

export interface RecoverOptions {
  readonly signal?: AbortSignal | undefined
  /** The records of applied sets from this one on stay in the commit log. */
  readonly keptFrom?: number
}

const NOTHING_KEPT = Number.POSITIVE_INFINITY

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
export function recover(layout: Layout, format: Format, options: RecoverOptions = {}): void {
  const state = StateFile.open(layout.state, 'write')
  try {
    const waiting = waitingCommits(layout, state.current)
    const segments = listSegments(layout.journal)
    if (waiting.length > 0) redo(layout, format, state, waiting, segments, options.signal)
    empty(layout, state, segments, options.keptFrom ?? NOTHING_KEPT)
  } finally {
    state.close()
  }
}

/** After an orderly end, nothing is left to do: the journal need not stay until the next opening. The caller holds the lock. */
export function tidy(layout: Layout, keptFrom = NOTHING_KEPT): void {
  const state = StateFile.open(layout.state, 'write')
  try {
    if (waitingCommits(layout, state.current).length === 0) empty(layout, state, listSegments(layout.journal), keptFrom)
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
  const volumes = format.volumes.map((volume) => ({ path: imagePath(layout, volume), size: volume.size }))
  const images = new Images(volumes)
  const sums = BlockSums.open(layout.checksums, volumes, 'write')
  try {
    const found = findParts(segments, (set) => waiting.some((commit) => isCovered(commit, set)))
    // All of them are looked for before the first is applied: a damaged journal leaves the images as they are.
    const complete = waiting.map((commit) => partsOf(commit, found))
    // What a killed writer wrote last is perhaps not on the disk yet: no image may be ahead of the record that says why.
    syncCommits(layout.commits)
    const applier = new Applier(images, volumes.length, SumKeeper.of(images, sums, volumes))
    for (const [n, commit] of waiting.entries()) {
      signal?.throwIfAborted()
      if (commit.set > state.current.securedSet) state.secure(commit.set, commit.time)
      state.announce(commit.set)
      // Only the first can have been begun: one set is applied at a time.
      for (const part of complete[n] as Part[]) apply(applier, part, n === 0)
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

/** In the order in which they are applied: set by set, where several were secured as one. */
function partsOf(commit: Commit, found: Found): Part[] {
  const sets = [...found.parts.keys()].filter((set) => isCovered(commit, set)).sort((a, b) => a - b)
  const partIn = (set: number, component: number): Part[] => {
    const part = found.parts.get(set)?.get(component)
    return part === undefined ? [] : [part]
  }
  const components = [...commit.parts.keys()]
  for (const component of components) {
    const own = sets.flatMap((set) => partIn(set, component))
    if (isAsListed(commit, component, own)) continue
    throw missingPart(component, commit.first ?? commit.set, 'the set was secured', found.ends)
  }
  return sets.flatMap((set) => components.flatMap((component) => partIn(set, component)))
}

function apply(applier: Applier, part: Part, isRedone: boolean): void {
  const fd = fs.openSync(part.path, 'r')
  try {
    applier.begin(part.frames, fd, part.path, isRedone)
    while (!applier.applySome());
  } finally {
    fs.closeSync(fd)
  }
}

/** Nothing of the journal is needed once the state says applied; of the records only those that are kept. */
function empty(layout: Layout, state: StateFile, segments: readonly SegmentName[], keptFrom: number): void {
  // Once more, durably: a killed process may have written the mark without having synced it.
  state.mark(state.current.appliedSet, state.current.appliedTime)
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

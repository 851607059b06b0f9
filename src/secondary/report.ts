import { TidemarkError } from '../errors.ts'
import type { SecondaryReport } from '../types.ts'
import { readCommits } from './commit-log.ts'
import { openingError } from './files.ts'
import { type Format, imagePath, type Layout, layoutOf, readExistingFormat } from './format.ts'
import { keptSets } from './kept-sets.ts'
import { waitingCommits } from './recover.ts'
import { type SecondaryState, StateFile } from './state.ts'

/** Looks at a secondary directory, also while a process writes to it. Takes no lock and changes nothing. */
export function inspectDirectory(directory: string): SecondaryReport {
  const { layout, format, state } = openToRead(directory)
  try {
    return reportOf(layout, format, settled(layout, state))
  } finally {
    state.close()
  }
}

/** Throws when it is no secondary directory, or one that cannot be read; what its journal is like is another question. */
export function checkReadable(directory: string): void {
  openToRead(directory).state.close()
}

function openToRead(directory: string): { layout: Layout; format: Format; state: StateFile } {
  const layout = layoutOf(directory)
  const format = readExistingFormat(layout)
  try {
    return { layout, format, state: StateFile.open(layout.state, 'read') }
  } catch (cause) {
    throw openingError('read', layout.state, cause)
  }
}

/** A writer may be between the two files; then what they say fits together a moment later. */
function settled(layout: Layout, state: StateFile): SecondaryState {
  for (let tries = 0; ; tries++) {
    const before = state.refresh()
    try {
      const last = waitingCommits(layout, before).at(-1)
      const after = state.refresh()
      if (last === undefined || last.set <= after.securedSet) return after
      return { ...after, securedSet: last.set, securedTime: last.time }
    } catch (cause) {
      const moved = JSON.stringify(state.refresh()) !== JSON.stringify(before)
      if (!(cause instanceof TidemarkError) || tries === 16 || !moved) throw cause
    }
  }
}

function reportOf(layout: Layout, format: Format, state: SecondaryState): SecondaryReport {
  const { appliedSet, securedSet, applying, appliedTime } = state
  return {
    group: format.group,
    clean: applying === null && securedSet === appliedSet,
    appliedSet,
    applying,
    securedSet,
    consistencyTime: appliedTime,
    volumes: format.volumes.map((volume) => ({
      name: volume.target,
      size: volume.size,
      path: imagePath(layout, volume)
    })),
    history: historyOf(layout, state)
  }
}

function historyOf(layout: Layout, state: SecondaryState): SecondaryReport['history'] {
  if (state.history === null) return []
  return keptSets(state, readCommits(layout.commits).commits).map(({ set, time, label }) => ({
    set,
    ...(label !== undefined && { label }),
    consistencyTime: time
  }))
}

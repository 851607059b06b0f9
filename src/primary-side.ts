import path from 'node:path'
import { TidemarkError } from './errors.ts'
import { sourceLayout } from './memory/source-memory.ts'
import type { CheckedOptions } from './options.ts'
import { checkSourceOptions } from './options.ts'
import type { GroupSide, PrimaryVolume } from './primary/group-side.ts'
import { imagePath, layoutOf } from './secondary/format.ts'
import { readIdentity } from './secondary/identity.ts'
import { readState } from './secondary/state.ts'
import { type GroupFacts, partsFor, sourceLimits } from './source-port.ts'

/** What a group does itself for its primary files. */
export type PrimaryHost = Omit<GroupSide, 'updateBytes' | 'volume' | 'secondary'>

const LARGEST_UPDATE = 1 << 20
const SMALLEST_UPDATE = 512

/** What primary files ask of their group: what follows from its options, and what it does itself. */
export class PrimarySide implements Omit<GroupSide, keyof PrimaryHost> {
  readonly updateBytes: number
  private readonly options: CheckedOptions

  constructor(options: CheckedOptions, facts: GroupFacts) {
    this.options = options
    this.updateBytes = updateBytesFor(facts)
  }

  /** @throws TidemarkError TIDEMARK_UNKNOWN_VOLUME, TIDEMARK_OPTIONS */
  volume(name: string): PrimaryVolume {
    const { volumes, secondary, metadataOnly } = this.options
    const index = volumes.findIndex((volume) => volume.name === name)
    const found = volumes[index]
    if (found === undefined) {
      throw new TidemarkError('TIDEMARK_UNKNOWN_VOLUME', `there is no volume '${String(name)}'`, { volume: name })
    }
    if (secondary === undefined) {
      const message = "primary files need a secondary to compare with: with secondary 'discard' there is none"
      throw new TidemarkError('TIDEMARK_OPTIONS', message, { volume: name, option: 'secondary' })
    }
    if (metadataOnly) {
      const message = "primary files with mirrorContent 'metadata' are not there yet in this version"
      throw new TidemarkError('TIDEMARK_OPTIONS', message, { volume: name, option: 'mirrorContent' })
    }
    const { size, target = name, directory } = found
    const place = directory === undefined ? null : path.resolve(directory)
    const image = imagePath(layoutOf(secondary.directory), { name, target, size, directory: place })
    return { name, target, size, index, image }
  }

  secondary(): { id: string; appliedSet: number } {
    const layout = layoutOf(this.options.secondary?.directory ?? '')
    return { id: readIdentity(layout), appliedSet: readState(layout.state).appliedSet }
  }
}

/** A power of two: an update of so many bytes is never too large for a source with the usual ring. */
function updateBytesFor(facts: GroupFacts): number {
  const limits = sourceLimits(facts, sourceLayout(checkSourceOptions(undefined).ringBytes))
  const fits = (length: number): boolean => {
    const needs = partsFor(length, limits)
    return needs.bytes <= limits.transactionBytes && needs.parts <= limits.transactionParts
  }
  let bytes = LARGEST_UPDATE
  while (bytes > SMALLEST_UPDATE && !fits(bytes)) bytes /= 2
  return bytes
}

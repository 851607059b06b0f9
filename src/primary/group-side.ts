import type { TidemarkError } from '../errors.ts'
import type { PrimarySource, SetReport } from '../types.ts'

/** A volume of the group, as a primary file needs it. */
export interface PrimaryVolume {
  readonly name: string
  /** Of the secondary volume. */
  readonly target: string
  readonly size: number
  /** Its place among the group's volumes. */
  readonly index: number
  /** The secondary volume's file. */
  readonly image: string
}

/** What primary files ask of the group that they belong to. */
export interface GroupSide {
  /** Updates of up to so many bytes are never too large for a source. */
  readonly updateBytes: number
  /** @throws TidemarkError TIDEMARK_UNKNOWN_VOLUME, TIDEMARK_OPTIONS where its secondary cannot be compared with */
  volume(name: string): PrimaryVolume
  /** The secondary directory's id, and the last set that it had applied for certain. */
  secondary(): { id: string; appliedSet: number }
  /** Whether it still takes updates. @throws TidemarkError TIDEMARK_CLOSED, TIDEMARK_SUSPENDED */
  checkOpen(): void
  openSource(name: string): PrimarySource
  readonly appliedSet: number
  /** Resolves when the set is applied, also while the group is being closed. */
  whenApplied(set: number, signal?: AbortSignal): Promise<void>
  /** Ends the forming set. */
  closeSet(): Promise<SetReport>
  /** The forming set, which stays open until it is released; unless memory runs short. */
  holdClosing(): Promise<{ set: number; release(): void }>
  /** The secondary volumes stay at one set until released. */
  holdApplied(signal?: AbortSignal): Promise<{ report: SetReport; release(): void }>
  warn(error: TidemarkError): void
}

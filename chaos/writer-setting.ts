import type { Cell } from './areas.ts'

/** What one writer of a round does. Plain values: it is given to threads. */
export interface WriterSetting {
  readonly index: number
  readonly name: string
  /**
   * 'mixed': every call there is, to areas of its own and shared ones. 'counter': a number to three places, one awaited after
   * the other. 'transaction': the same number to all three at once.
   */
  readonly kind: 'mixed' | 'counter' | 'transaction'
  readonly inThread: boolean
  readonly seed: number
  readonly mirrors: number
  /** By index. */
  readonly volumes: readonly string[]
  readonly cells: readonly Cell[]
  /** Of a mixed writer, in each volume. */
  readonly ownBegin: number
  readonly ownBytes: number
  /** Of an update to its own area. */
  readonly largestBytes: number
  /** The component asked for at first. */
  readonly component: number | undefined
  readonly ringBytes: number
}

/** An update to a shared area, with the place in the order that its receipt gave it. */
export interface PlacedUpdate {
  readonly volume: number
  readonly offset: number
  readonly length: number
  readonly word: number
  readonly set: number
  readonly sequence: number
}

/** What a writer knows in the end. */
export interface WriterReport {
  readonly index: number
  readonly updates: number
  /** Updates so large that they may go in several parts, each counted by the engine. */
  readonly largeUpdates: number
  /** By volume: what its own area holds now. Empty when it has none. */
  readonly own: readonly Uint8Array[]
  readonly shared: readonly PlacedUpdate[]
  /** By cell: the set of each number from 1 on. */
  readonly cellSets: readonly (readonly number[])[]
  readonly longestWaitMs: number
}

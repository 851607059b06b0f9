import type { Arena } from '../memory/arena.ts'
import type { PartFacts } from '../protocol/set-store.ts'
import type { SpoolStore } from '../protocol/spool-keeper.ts'
import { factsOf } from './block.ts'
import { Journal } from './journal.ts'
import { SPOOL_COMPONENT } from './kept-set-reader.ts'
import { checkLeft, readLeft } from './left-segments.ts'

/** Plain values: it is opened in the spool's thread. */
export interface FileSpoolOptions {
  /** Of the segments. */
  readonly directory: string
  /** By volume: its size. */
  readonly sizes: readonly number[]
}

/** A segment is begun for each set, so that each can be removed as soon as it is secured. */
const SEGMENT_BYTES = 1

/** The spool's sets in files: a journal in which all volumes are. */
export class FileSpoolStore implements SpoolStore {
  private readonly options: FileSpoolOptions
  private readonly journal: Journal
  private receiving = 0

  constructor(options: FileSpoolOptions) {
    this.options = options
    const sizes = Float64Array.from(options.sizes)
    const { directory } = options
    this.journal = new Journal({ directory, component: SPOOL_COMPONENT, sizes, segmentBytes: SEGMENT_BYTES })
  }

  resume(told: number, removed: number): number {
    const left = readLeft(this.options.directory, SPOOL_COMPONENT, removed)
    if (told > removed) checkLeft(left, SPOOL_COMPONENT, told)
    this.journal.takeOver(left)
    return Math.max(told, ...left.map(({ lastSet }) => lastSet))
  }

  begin(set: number): void {
    this.receiving = set
    this.journal.begin(set)
  }

  append(arena: Arena, address: number): void {
    this.journal.append(arena, address)
  }

  gather(): void {
    this.journal.gather()
  }

  sync(): PartFacts {
    const part = this.journal.sync()
    const facts = factsOf(part)
    // Its table is not needed: who takes the set reads the file.
    this.journal.recycle(part)
    this.receiving = 0
    return facts
  }

  remove(upTo: number): void {
    // Secured before it was whole here.
    if (this.receiving > 0 && this.receiving <= upTo) {
      this.receiving = 0
      this.journal.abandon()
    }
    this.journal.release(upTo, this.receiving > 0 ? 1 : 0)
  }

  close(): void {
    this.journal.close()
  }
}

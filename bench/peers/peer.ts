import type { Check } from '../checks.ts'
import type { Contestant } from '../measure.ts'
import type { Program } from './program.ts'

/** What people would use in place of a group: a program that runs beside theirs. */
export interface Peer {
  readonly name: string
  /** As it is called on the PATH. */
  readonly program: string
  /** How to get it, for those who have not. */
  readonly install: string
  /** The first major version that tells what is checked. */
  readonly oldest: number
  open(program: Program, lengthBytes: number): Promise<PeerContestant>
}

export interface PeerContestant extends Contestant, AsyncDisposable {
  check(): Promise<Check[]>
}

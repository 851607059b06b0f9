import type { Arena } from '../memory/arena.ts'

/** How far a secondary component has got: sets up to these (whole numbers) are done. */
export interface StoreProgress {
  readonly journaled: number
  readonly applied: number
  // What they have in common: the first one's; the others know it from the board only.
  readonly committed: number
  readonly announced: number
  readonly marked: number
}

/** What a secondary component's journal holds of a set. */
export interface PartFacts {
  readonly updates: number
  /** Data bytes: a range that reads as zeros has none. */
  readonly bytes: number
}

/** What is recorded of a set that is whole: of all of them, where several are committed together. */
export interface SetFacts {
  readonly set: number
  /** Milliseconds since the epoch. */
  readonly consistencyTime: number
  /** As acknowledged; the parts may hold fewer. */
  readonly updates: number
  readonly bytes: number
  /** By secondary component. */
  readonly parts: readonly PartFacts[]
  readonly label: string | undefined
}

export interface ResumedProgress extends StoreProgress {
  /** Of the sets that are journaled here and not told applied, in order. */
  readonly parts: readonly (PartFacts & { readonly set: number })[]
}

/** Where the parts of sets are put when they are received. */
export interface PartStore {
  begin(set: number): void
  /** The record at this byte address; its memory stays as it is until the set is secured. */
  append(arena: Arena, address: number): void
  /** Reads all that was lent and not read yet: afterwards that memory is not looked at again. */
  gather(): void
  /** Makes what was gathered durable, and says what that is. */
  sync(): PartFacts
}

/**
 * Where a secondary component puts sets: files at run time, memory in the simulator. Every call does its work before it
 * returns. Set identifiers are whole numbers here, not their low bits. A call that throws for want of room has done nothing
 * that keeps it from being called again (patience.ts).
 *
 *      resume                         only by who takes the place of a component that died, before anything else
 *      begin  append ... gather sync  receive one set: its updates, then durable: this component's part is journaled
 *      beginKept  takeSome ... gather sync
 *                                     the same, from the spool
 *      commit                         the first component only: the set is whole; after it the set is secured
 *      announce                       the first component only: the volumes are about to be touched
 *      beginApply  applySome ...      bring a secured set into the volumes, while the next one is received
 *      mark                           the first component only: the set is in all volumes, of all components
 *      release                        the first component only: gives back what is marked; nobody waits for it
 */
export interface SetStore extends PartStore {
  /**
   * Finds what a predecessor, dead between any two of its calls or within one, has left: parts that are whole can be applied
   * afterwards, an unfinished one is dropped. What it had not finished to apply will be applied again from its start.
   * @param told  what the predecessor had told: all that anyone can have acted on
   * @returns how far it really was, durably by now; nowhere less
   */
  resume(told: StoreProgress): ResumedProgress
  /** The set is whole in the spool: this component's part of it is taken from there. */
  beginKept(set: number): void
  /** Takes some of it. True when that was all. */
  takeSome(): boolean
  commit(facts: SetFacts): void
  announce(set: number): void
  beginApply(set: number): void
  /** Applies some of it, newest bytes of each range. True when all of it is durable in the volumes. */
  applySome(): boolean
  /** Bytes that the set which was applied last brought into the volumes. */
  readonly writtenBytes: number
  mark(set: number): void
  /** Gives back what was needed until the set was marked. Where it does not come to that, `resume` does it. */
  release(set: number): void
}

import type { Arena } from '../memory/arena.ts'

/**
 * Where a secondary component puts sets: files at run time, memory in the simulator. Every call does its work before it
 * returns. Set identifiers are whole numbers here, not their low bits.
 *
 *      begin  append ... gather sync  receive one set: its updates, then durable: this component's part is journaled
 *      commit                         the first component only: the set is whole; after it the set is secured
 *      announce                       the first component only: the volumes are about to be touched
 *      beginApply  applySome ...      bring a secured set into the volumes, while the next one is received
 *      mark                           the first component only: the set is in all volumes, of all components
 */
export interface SetStore {
  begin(set: number): void
  /** The record at this byte address; its memory stays as it is until the set is secured. */
  append(arena: Arena, address: number): void
  /** Reads all that was lent and not read yet: afterwards that memory is not looked at again. */
  gather(): void
  /** Makes what was gathered durable. */
  sync(): void
  commit(set: number, consistencyTime: number, updates: number, bytes: number): void
  announce(set: number): void
  beginApply(set: number): void
  /** Applies some of it, newest bytes of each range. True when all of it is durable in the volumes. */
  applySome(): boolean
  /** Bytes that the set which was applied last brought into the volumes. */
  readonly writtenBytes: number
  mark(set: number): void
}

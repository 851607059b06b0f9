import type { SetTables } from '../memory/set-tables.ts'
import { nameHash, type SetTable } from '../memory/set-tables.ts'
import { SET_WINDOW, SET_WINDOW_MASK } from '../memory/source-memory.ts'
import { MissingBytes } from './missing-bytes.ts'

const BLOCK = 4096
const NO_BLOCK = new Int32Array(0)

/** A list of addresses that grows by blocks and gives them back. */
export class AddressList {
  length = 0
  /** Its addresses were gathered in any order. */
  isGathered = false
  private readonly blocks: Int32Array[] = []
  private readonly pool: Int32Array[]
  /** The one that is being filled. */
  private last: Int32Array = NO_BLOCK
  private capacity = 0

  constructor(pool: Int32Array[]) {
    this.pool = pool
  }

  push(address: number): void {
    if (this.isFull) this.grow()
    this.pushBehind(address)
  }

  /** Whether the next address needs another block. */
  get isFull(): boolean {
    return this.length === this.capacity
  }

  /** Where it is not full. */
  pushBehind(address: number): void {
    this.last[this.length & (BLOCK - 1)] = address
    this.length++
  }

  at(index: number): number {
    return (this.blocks[index >>> 12] as Int32Array)[index & (BLOCK - 1)] as number
  }

  /** Orders the addresses by what `keyOf` says of them. */
  sortBy(keyOf: (address: number) => number): void {
    const all = Array.from({ length: this.length }, (_, n) => this.at(n))
    all.sort((a, b) => keyOf(a) - keyOf(b))
    this.clear()
    for (const address of all) this.push(address)
    this.isGathered = false
  }

  grow(): void {
    this.last = this.pool.pop() ?? new Int32Array(BLOCK)
    this.blocks.push(this.last)
    this.capacity += BLOCK
  }

  clear(): void {
    for (const block of this.blocks) this.pool.push(block)
    this.blocks.length = 0
    this.capacity = 0
    this.length = 0
  }
}

/** What a component is responsible for in one set: the places of its updates, in order, and its table. */
export class HeldSet {
  readonly list: AddressList
  readonly table: SetTable

  constructor(list: AddressList, table: SetTable) {
    this.list = list
    this.table = table
  }

  /**
   * Notes an update at its byte address, with the sequence given to it (blocks 306, 322); the list must not be full. Returns
   * that sequence: it may be given here (NEXT_OF_VOLUME).
   */
  note(volume: number, sequence: number, dataBytes: number, source: number, ordinal: number, address: number): number {
    this.list.pushBehind(address)
    return this.table.count(volume, sequence, dataBytes, nameHash(source, ordinal))
  }
}

/**
 * What a component holds of each unsecured set: the updates for which it is responsible, in the order in which it gave their
 * sequence identifiers (figure 2B), and how much it holds in all, mirrors included.
 */
export class HeldUpdates {
  readonly missing = new MissingBytes()
  /** Where the bytes are of updates that came without: by the address that was noted. */
  private readonly fetched = new Map<number, number>()
  private readonly tables: SetTables
  private readonly sets: readonly HeldSet[]
  private readonly updates = new Float64Array(SET_WINDOW)
  private readonly bytes = new Float64Array(SET_WINDOW)
  private updatesNow = 0
  private bytesNow = 0

  constructor(tables: SetTables, firstSet: number) {
    this.tables = tables
    const pool: Int32Array[] = []
    this.sets = Array.from({ length: SET_WINDOW }, (_, n) => this.makeSet(new AddressList(pool), tables.at(n)))
    for (let n = 0; n < SET_WINDOW; n++) tables.at(firstSet + n).restart(firstSet + n)
  }

  get heldUpdates(): number {
    return this.updatesNow
  }
  get heldBytes(): number {
    return this.bytesNow
  }

  of(set: number): HeldSet {
    return this.sets[set & SET_WINDOW_MASK] as HeldSet
  }

  /** The same, with room for one more. */
  withRoom(set: number): HeldSet {
    const held = this.of(set)
    if (held.list.isFull) held.list.grow()
    return held
  }

  /** Overridden in the simulator's broken variants only. */
  protected makeSet(list: AddressList, table: SetTable): HeldSet {
    return new HeldSet(list, table)
  }

  /** So many copies are held here, in whatever role. */
  hold(set: number, recordBytes: number, updates = 1): void {
    const at = set & SET_WINDOW_MASK
    this.updates[at] = (this.updates[at] as number) + updates
    this.bytes[at] = (this.bytes[at] as number) + recordBytes
    this.updatesNow += updates
    this.bytesNow += recordBytes
  }

  /** The addresses of the set's updates, in sequence order for each volume; time stamps may come in another order. */
  listOf(set: number, sequenceAt: (address: number) => number): AddressList {
    const { list } = this.of(set)
    if (list.isGathered) list.sortBy(sequenceAt)
    return list
  }

  /** The bytes of the update that was noted at this address are at another one now. */
  replace(address: number, withBytes: number): void {
    this.fetched.set(address, withBytes)
  }

  /** Where the whole update is that was noted at this address. */
  whole(address: number): number {
    return this.fetched.size === 0 ? address : (this.fetched.get(address) ?? address)
  }

  /** Of unsecured sets, updates are noted in any order now and then in turn. Order is made when a set is sent, not before. */
  gather(): void {
    for (const { list } of this.sets) list.isGathered = true
  }

  /** Forgets a secured set; its table is for the set that comes a window later (R13). */
  discard(set: number): void {
    const at = set & SET_WINDOW_MASK
    this.updatesNow -= this.updates[at] as number
    this.bytesNow -= this.bytes[at] as number
    this.updates[at] = 0
    this.bytes[at] = 0
    const { list } = this.of(set)
    for (let n = 0; this.fetched.size > 0 && n < list.length; n++) this.fetched.delete(list.at(n))
    list.clear()
    list.isGathered = false
    this.tables.at(set).restart((set + SET_WINDOW) | 0)
  }
}

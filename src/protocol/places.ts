import type { ArenaLayout } from '../memory/arena.ts'
import { CHUNK_CLOSED, CHUNK_FREE, CHUNK_GRANTED, CHUNK_MOVING, type ChunkTable } from '../memory/chunk-table.ts'
import { grantsMissing } from './lane.ts'
import { isAfter } from './set-identifier.ts'
import { assert } from './setting.ts'

/**
 * The chunks of one component's arena, and who may fill them: "a holder grants credits against places that it has".
 *
 *      free -> granted (one lane fills it) -> closed (its sets are not secured yet) -> free
 *
 * Every lane is kept at two chunks that are granted and not closed, more while a transaction asked for more. Lanes that
 * have fewer are served first come, first served; while one has to wait, this component is under pressure and the set is
 * closed early. How much a lane may ask for, so that nobody waits in a circle: transactionChunks in members.ts.
 */
const USUAL_CHUNKS = 2

const SERVED = 0
const NO_MEMORY = 1
const NO_PLACE_ONWARD = 2

/** Hands a chunk to its lane; false when that cannot be done now (no place onward): the lane keeps its turn. */
export interface Granter {
  grant(lane: number, chunk: number): boolean
}

export class Places {
  private readonly layout: ArenaLayout
  private readonly granter: Granter
  private readonly senders: readonly number[]
  private readonly free: number[]
  /** Free chunks that only restored copies go into. */
  private readonly spare: number[]
  private readonly table: ChunkTable
  private readonly outstanding: Int32Array
  /** By lane: chunks granted so far, and up to which number of them its sender asked for. */
  private readonly grantedSoFar: Float64Array
  private readonly asked: Float64Array
  /** Lanes below what they should have, in the order in which they fell below. */
  private readonly queue: number[] = []
  private readonly queued: Uint8Array
  /**
   * What was posted has to be taken before anything can be secured, and so before any memory is given back: half of the
   * spare chunks may be used for it (1), as long as bytes are fetched into the rest; then all of them (2).
   */
  lent = 0

  /** @param senders  by lane: the slot whose component fills it */
  constructor(layout: ArenaLayout, table: ChunkTable, senders: readonly number[], granter: Granter) {
    const lanes = senders.length
    assert(layout.chunks >= lanes * USUAL_CHUNKS, `an arena of ${layout.chunks} chunks cannot serve ${lanes} lanes`)
    this.layout = layout
    this.granter = granter
    this.senders = senders
    // The lowest chunks on top: memory that was used before is used again.
    const isFree = (chunk: number): boolean => table.stateOf(chunk) === CHUNK_FREE
    this.free = Array.from({ length: layout.chunks }, (_, n) => layout.chunks - 1 - n).filter(isFree)
    this.spare = Array.from({ length: layout.spareChunks }, (_, n) => layout.chunks + n).filter(isFree)
    this.table = table
    this.outstanding = new Int32Array(lanes)
    this.grantedSoFar = new Float64Array(lanes)
    this.asked = new Float64Array(lanes)
    this.queued = new Uint8Array(lanes)
    for (let lane = 0; lane < lanes; lane++) this.enqueueIfBelow(lane)
  }

  get chunks(): number {
    return this.layout.chunks
  }
  get freeChunks(): number {
    return this.free.length
  }
  /** A lane has to wait for memory. */
  get isShort(): boolean {
    return this.queue.length > 0 && this.free.length === 0
  }
  /** Spare chunks, too, which are all lent. */
  get isAllUsed(): boolean {
    return this.lent > 1 && this.spare.length === 0
  }
  /** A lane has to wait, for memory here or for a place onward. */
  get isQueued(): boolean {
    return this.queue.length > 0
  }

  /** So many bytes of whole records of `set` lie from this byte address on, in one chunk, behind those noted before. */
  note(address: number, bytes: number, set: number): void {
    const { table } = this
    const chunk = address >>> this.layout.chunkShift
    const before = table.endOf(chunk)
    table.storeEnd(chunk, address + bytes)
    if (before !== 0 && table.setOf(chunk) === set) return
    const state = table.stateOf(chunk)
    assert(state === CHUNK_GRANTED || state === CHUNK_MOVING, `an update lies in chunk ${chunk}, which is not granted`)
    if (before === 0 || isAfter(set, table.setOf(chunk))) table.storeSet(chunk, set)
  }

  /** The lane's sender writes no more into it. @param secured  the highest secured set */
  close(chunk: number, secured: number): void {
    assert(this.table.stateOf(chunk) === CHUNK_GRANTED, `chunk ${chunk} was closed but is not granted`)
    const lane = this.table.laneOf(chunk)
    this.outstanding[lane] = (this.outstanding[lane] as number) - 1
    this.table.storeState(chunk, CHUNK_CLOSED)
    this.freeIfSecured(chunk, secured)
    this.enqueueIfBelow(lane)
  }

  /** A transaction of the lane's sender needs more than usual: `asked` has the low bits of a number of grants. */
  want(lane: number, asked: number): void {
    const granted = this.grantedSoFar[lane] as number
    const missing = grantsMissing(asked, granted)
    assert(missing <= this.layout.chunks, `a lane wants ${missing} chunks of ${this.layout.chunks}`)
    this.asked[lane] = Math.max(this.asked[lane] as number, granted + missing)
    this.enqueueIfBelow(lane)
  }

  /**
   * A chunk for copies that a change of view moves here; -1 when there is none left. Memory that was used before comes
   * first, as long as every lane finds its usual chunks afterwards.
   */
  grantMoving(sender: number): number {
    const isPlenty = this.free.length > this.senders.length * USUAL_CHUNKS
    const chunk = (isPlenty ? this.free.pop() : (this.spare.shift() ?? this.free.pop())) ?? -1
    if (chunk >= 0) this.table.grant(chunk, 0, sender, CHUNK_MOVING)
    return chunk
  }

  /** Nothing more comes into a chunk of grantMoving. */
  closeMoved(chunk: number, secured: number): void {
    this.table.storeState(chunk, CHUNK_CLOSED)
    this.freeIfSecured(chunk, secured)
  }

  /** The view stands: what was moved here counts from now on. */
  keepMoved(secured: number): void {
    for (let chunk = 0; chunk < this.table.chunks; chunk++) {
      if (this.table.stateOf(chunk) !== CHUNK_MOVING) continue
      this.closeMoved(chunk, secured)
    }
  }

  /** Frees what holds nothing but updates of secured sets (R13). */
  discard(secured: number): void {
    for (let chunk = 0; chunk < this.table.chunks; chunk++) {
      if (this.table.stateOf(chunk) === CHUNK_CLOSED) this.freeIfSecured(chunk, secured)
    }
  }

  /** Grants what is free to those who wait for it, in order. Returns how many chunks it granted. */
  serve(): number {
    let granted = 0
    let waiting = 0
    for (let n = 0; n < this.queue.length; n++) {
      const lane = this.queue[n] as number
      const before = this.outstanding[lane] as number
      const outcome = this.serveLane(lane)
      granted += (this.outstanding[lane] as number) - before
      if (outcome === SERVED) {
        this.queued[lane] = 0
        continue
      }
      this.queue[waiting++] = lane
      // Memory goes to the first who waits for it. Who waits for a place onward keeps its turn and holds up nobody: the
      // place that it waits for may be in a lane behind it at the other end.
      if (outcome === NO_MEMORY) {
        this.queue.copyWithin(waiting, n + 1)
        waiting += this.queue.length - n - 1
        break
      }
    }
    this.queue.length = waiting
    return granted
  }

  private serveLane(lane: number): number {
    while (this.isBelow(lane)) {
      const chunk = this.allocate()
      if (chunk < 0) return NO_MEMORY
      if (!this.granter.grant(lane, chunk)) {
        if (chunk < this.layout.chunks) this.free.push(chunk)
        else this.spare.unshift(chunk)
        return NO_PLACE_ONWARD
      }
      this.table.grant(chunk, lane, this.senders[lane] as number)
      this.outstanding[lane] = (this.outstanding[lane] as number) + 1
      this.grantedSoFar[lane] = (this.grantedSoFar[lane] as number) + 1
    }
    return SERVED
  }

  /** A free chunk, or -1. Overridden in the simulator's broken variants only. */
  protected allocate(): number {
    return this.free.pop() ?? (this.isSpareLent ? this.spare.shift() : undefined) ?? -1
  }

  private get isSpareLent(): boolean {
    if (this.lent === 1) return this.spare.length > this.layout.spareChunks / 2
    return this.lent > 1
  }

  private freeIfSecured(chunk: number, secured: number): void {
    if (this.table.endOf(chunk) !== 0 && isAfter(this.table.setOf(chunk), secured)) return
    this.table.storeState(chunk, CHUNK_FREE)
    this.giveBack(chunk)
  }

  /** Whoever had updates in the chunk has discarded them. The simulator looks whether it may. */
  protected giveBack(chunk: number): void {
    if (chunk < this.layout.chunks) this.free.push(chunk)
    else this.spare.push(chunk)
  }

  private enqueueIfBelow(lane: number): void {
    if (this.queued[lane] === 1 || !this.isBelow(lane)) return
    this.queued[lane] = 1
    this.queue.push(lane)
  }

  private isBelow(lane: number): boolean {
    if ((this.outstanding[lane] as number) < USUAL_CHUNKS) return true
    return (this.grantedSoFar[lane] as number) < (this.asked[lane] as number)
  }
}

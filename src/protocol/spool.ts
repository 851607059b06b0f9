import { type Board, WAY_SPOOL } from '../memory/board.ts'
import { expandSet, isAfter } from './set-identifier.ts'

interface KeptSet {
  readonly set: number
  /** The most that it takes on the disk. */
  readonly bytes: number
}

/** What an update takes in the spool beside its data, and what a set takes beside its updates; more than it ever is. */
const UPDATE_BYTES = 32
const SET_BYTES = 4096
/** A block holds at least so much, or the last of a set: what its header takes is counted with the data. */
const BLOCK_BYTES = 1 << 18
const HEADER_BYTES = 64

/**
 * The spool, as the control thread sees it: which sets are in it, in order; one that is on its way there; how much room is
 * left. (docs/pressure.md.)
 */
export class Spool {
  private readonly board: Board
  private readonly limitBytes: number
  private readonly kept: KeptSet[] = []
  private onItsWay: number | undefined

  constructor(board: Board, limitBytes: number) {
    this.board = board
    this.limitBytes = limitBytes
  }

  /** The set that is on its way to it. */
  get sending(): number | undefined {
    return this.onItsWay
  }
  /** What it takes on the disk at the most, what is on its way and what is not removed yet included. */
  get bytes(): number {
    return this.kept.reduce((sum, { bytes }) => sum + bytes, 0)
  }
  get isEmpty(): boolean {
    return this.kept.length === 0
  }
  /** Its disk has no room. */
  get isBlocked(): boolean {
    return this.board.loadNoSpace(this.board.spoolIndex) === 1
  }

  hasRoomFor(updates: number, bytes: number): boolean {
    return this.bytes + bytesOnDisk(updates, bytes) <= this.limitBytes
  }

  /** The members send it. */
  send(set: number, updates: number, bytes: number): void {
    this.kept.push({ set, bytes: bytesOnDisk(updates, bytes) })
    this.onItsWay = set
    this.board.storeSpool(set | 0)
  }

  /** The set that was on its way is whole there. */
  arrived(): boolean {
    const { board, onItsWay } = this
    if (onItsWay === undefined || isAfter(onItsWay | 0, board.loadJournaled(board.spoolIndex))) return false
    this.forgetSending()
    return true
  }

  protected forgetSending(): void {
    this.onItsWay = undefined
  }

  /** The set that is on its way is not needed there any more: its memory is about to be used for something else. */
  stop(): void {
    const { board, onItsWay } = this
    if (onItsWay === undefined) return
    this.onItsWay = undefined
    // In this order: who sees the new epoch does not send it again.
    board.storeSpool((onItsWay - 1) | 0)
    this.nextEpoch()
  }

  /** Its thread was started again: what it had not kept is sent again. */
  sendAgain(): void {
    this.nextEpoch()
  }

  /** Its thread may be asleep already, and it is awaited that it has followed (Coordinator.haveReceiversFollowed). */
  private nextEpoch(): void {
    const { board } = this
    board.storeEpoch(WAY_SPOOL, board.loadEpoch(WAY_SPOOL) + 2)
    board.spoolParking.wake()
  }

  /** Forgets what it has removed from its disk. @returns whether there was something */
  forget(): boolean {
    const first = this.kept[0]
    if (first === undefined) return false
    const { board } = this
    const removed = expandSet(board.loadApplied(board.spoolIndex), first.set)
    const before = this.kept.length
    while ((this.kept[0]?.set ?? Number.POSITIVE_INFINITY) <= removed) this.kept.shift()
    return this.kept.length < before
  }
}

function bytesOnDisk(updates: number, bytes: number): number {
  const blocks = Math.ceil((bytes + updates * UPDATE_BYTES) / BLOCK_BYTES)
  return SET_BYTES + bytes + updates * UPDATE_BYTES + blocks * HEADER_BYTES
}

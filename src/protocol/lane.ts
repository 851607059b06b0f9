import { ENTRY_CLOSE, ENTRY_WANT, entry } from '../memory/link.ts'

/**
 * A sender's credits in one arena: chunks that the holder granted, of which one is being filled. The own arena is filled
 * through a lane too. What is reserved here is a place that exists: taking never waits for memory afterwards.
 *
 *      credits (granted, untouched)  ->  open (being filled)  ->  closed (the holder frees it when its sets are secured)
 *
 * Kinds, since who fills a chunk decides what its holder owes for it:
 *   request   updates for which the holder is responsible; it has set aside a place onward for each further mirror
 *   mirror    copies of updates that the sender took and is responsible for
 *   onward    copies that the sender passes on for another taker
 * With one mirror nothing is passed on, and one lane serves for requests and mirrors.
 */
export const LANE_REQUEST = 0
export const LANE_MIRROR = 1
export const LANE_ONWARD = 2

/** Copies that a change of view moves; its chunks are asked for one by one, and belong to no usual credits. */
export const LANE_MOVING = 3

export function lanesPerPeer(mirrors: number): number {
  return mirrors === 1 ? 1 : 3
}
export function mirrorLane(mirrors: number): number {
  return mirrors === 1 ? LANE_REQUEST : LANE_MIRROR
}

// Lanes into one arena are numbered: 0 the own one, then each peer's, by kind. Peers are counted by their place among the
// members of the view, from 0.

export function laneIndex(peer: number, kind: number, ownSlot: number, kinds: number): number {
  return 1 + (peer < ownSlot ? peer : peer - 1) * kinds + kind
}
/** The slot that fills a lane; the own slot for the own lane. */
export function peerOfLane(lane: number, ownSlot: number, kinds: number): number {
  if (lane === 0) return ownSlot
  const index = Math.floor((lane - 1) / kinds)
  return index < ownSlot ? index : index + 1
}

const CHUNK_BITS = 20
const CHUNK_MASK = (1 << CHUNK_BITS) - 1
/** The value of a grant, close or want entry: a chunk, or the low bits of a number of grants, and the kind of lane. */
export function laneValue(kind: number, chunk: number): number {
  return (kind << CHUNK_BITS) | chunk
}
export function laneKindOf(value: number): number {
  return value >>> CHUNK_BITS
}
export function chunkOf(value: number): number {
  return value & CHUNK_MASK
}
/** How many grants are missing to the number whose low bits are `asked`; at most 0 when none are. */
export function grantsMissing(asked: number, granted: number): number {
  return ((asked - granted) << (32 - CHUNK_BITS)) >> (32 - CHUNK_BITS)
}

/** Where a lane says that a chunk is closed or more are wanted: a link's outbox, or the own places. */
export interface LaneNotices {
  notice(word: number): void
}

export class Lane {
  readonly kind: number
  private readonly chunkShift: number
  private readonly notices: LaneNotices
  private readonly credits: number[] = []
  /** Byte address of the next record in the open chunk, and where the chunk ends; equal when none is open. */
  at = 0
  private end = 0
  private open = -1
  /** Chunks granted so far, and up to which number of them was asked for. */
  private grantedSoFar = 0
  private asked = 0
  // What a transaction would use, while it is being planned.
  private planAt = 0
  private planChunks = 0
  private planStamp = -1

  constructor(kind: number, chunkShift: number, notices: LaneNotices) {
    this.kind = kind
    this.chunkShift = chunkShift
    this.notices = notices
  }

  get creditCount(): number {
    return this.credits.length
  }

  granted(chunk: number): void {
    this.credits.push(chunk)
    this.grantedSoFar++
  }

  hasRoom(bytes: number): boolean {
    return this.continues(bytes) || this.credits.length > 0
  }

  /** Whether the next place for so many bytes is right behind the last one. */
  continues(bytes: number): boolean {
    return this.at + bytes <= this.end
  }

  /** The byte address of a place for a record; there must be room. */
  reserve(bytes: number): number {
    this.openFor(bytes)
    return this.reserveBehind(bytes)
  }

  /** So that the next place for so many bytes is right behind the last one, or begins a chunk; there must be room. */
  openFor(bytes: number): void {
    if (!this.continues(bytes)) this.openNext()
  }

  /** The same where it `continues`. */
  reserveBehind(bytes: number): number {
    const { at } = this
    this.at = at + bytes
    return at
  }

  /** Takes a whole credit away, to be filled at addresses that the caller knows; -1 when there is none. */
  takeCredit(): number {
    return this.credits.shift() ?? -1
  }

  /** A credit taken away is closed by the caller. */
  close(chunk: number): void {
    this.notices.notice(entry(ENTRY_CLOSE, laneValue(this.kind, chunk)))
  }

  /** Asks until there are `untouched` chunks; said once. The number is counted from the first grant, so it cannot be mistaken. */
  want(untouched: number): void {
    const total = this.grantedSoFar - this.credits.length + untouched
    if (total <= this.grantedSoFar || total <= this.asked) return
    this.asked = total
    this.notices.notice(entry(ENTRY_WANT, laneValue(this.kind, total & CHUNK_MASK)))
  }

  /** Plans one more record of the transaction `stamp`; packs exactly as `reserve` will. */
  plan(bytes: number, stamp: number): void {
    if (this.planStamp !== stamp) {
      this.planStamp = stamp
      this.planAt = this.at
      this.planChunks = 0
    }
    const chunkBytes = 1 << this.chunkShift
    const end = this.planChunks === 0 ? this.end : chunkBytes
    if (this.planAt + bytes > end) {
      this.planChunks++
      this.planAt = 0
    }
    this.planAt += bytes
  }

  /** Untouched chunks that the plan needs beyond those that are there; 0 when it fits. */
  planShort(stamp: number): number {
    if (this.planStamp !== stamp) return 0
    return Math.max(0, this.planChunks - this.credits.length)
  }

  planNeeds(stamp: number): number {
    return this.planStamp === stamp ? this.planChunks : 0
  }

  private openNext(): void {
    const next = this.credits.shift() as number
    if (this.open >= 0) this.close(this.open)
    this.open = next
    // As integers: a multiplication would make them numbers of the other kind, and each use would convert them.
    this.at = next << this.chunkShift
    this.end = this.at + (1 << this.chunkShift)
  }
}

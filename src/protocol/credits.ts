import type { Arena } from '../memory/arena.ts'
import { ENTRY_CLOSE, ENTRY_GRANT, entry, entryKind, entryValue } from '../memory/link.ts'
import {
  chunkOf,
  grantsMissing,
  LANE_MOVING,
  LANE_ONWARD,
  LANE_REQUEST,
  Lane,
  type LaneNotices,
  laneIndex,
  laneKindOf,
  lanesPerPeer,
  laneValue,
  peerOfLane
} from './lane.ts'
import { onwardOf } from './members.ts'
import type { OutLink } from './out-link.ts'
import { type Granter, Places } from './places.ts'
import { arenaOf, assert, type Setting, sayNoRoom } from './setting.ts'

/** A chunk at another mirror that belongs to a chunk here: what comes into ours is passed on into it, at equal offsets. */
export interface Onward {
  readonly out: OutLink
  readonly chunk: number
  readonly chunkAddress: number
}

const NONE: readonly Onward[] = []

/**
 * Credits between components: which chunks of the own arena were granted to whom, and what the own lanes into other arenas
 * were granted. "A responsible component only against onward places that it already holds": a chunk for requests is granted
 * together with a chunk at each further mirror.
 */
export class Credits implements Granter, LaneNotices {
  readonly places: Places
  /** The lane into the own arena. */
  readonly own: Lane
  private readonly setting: Setting
  private readonly outs: readonly OutLink[]
  private readonly arena: Arena
  private readonly kinds: number
  private readonly onward: (readonly Onward[])[]
  /** By taker. */
  private readonly onwardSlots: (readonly number[])[] = []
  /** By peer: chunks for copies that this change of view moves. */
  private readonly movingGranted: number[]
  /** Our place among the members. */
  private readonly position: number
  /** The highest secured set that was discarded. */
  private secured: number

  constructor(setting: Setting, outs: readonly OutLink[], placesType: typeof Places = Places) {
    this.setting = setting
    this.outs = outs
    this.arena = arenaOf(setting, setting.slot)
    const { slot, mirrors, members, eligible } = setting
    this.position = members.indexOf(slot)
    this.kinds = lanesPerPeer(mirrors)
    this.movingGranted = outs.map(() => 0)
    this.secured = (setting.firstSet - 1) | 0
    const { layout } = this.arena
    this.own = new Lane(LANE_REQUEST, layout.chunkShift, this)
    this.onward = Array.from({ length: layout.chunks + layout.spareChunks }, () => NONE)
    for (const taker of members) {
      if (taker !== slot && mirrors > 1) this.onwardSlots[taker] = onwardOf(eligible, slot, taker, mirrors)
    }
    const lanes = 1 + (members.length - 1) * this.kinds
    const senders = Array.from({ length: lanes }, (_, lane) => this.senderOf(lane))
    this.places = new placesType(layout, setting.chunks, senders, this)
  }

  /** The own lane closes a chunk or wants more of them. */
  notice(word: number): void {
    const value = entryValue(word)
    if (entryKind(word) === ENTRY_CLOSE) this.places.close(chunkOf(value), this.secured)
    else this.places.want(0, chunkOf(value))
  }

  /** A peer has granted us a chunk of its arena. */
  granted(peer: number, value: number): void {
    ;(this.outs[peer] as OutLink).lane(laneKindOf(value)).granted(chunkOf(value))
  }

  /** A peer writes no more into a chunk of ours; nor do we into those that belong to it. */
  closed(peer: number, value: number): void {
    const chunk = chunkOf(value)
    if (laneKindOf(value) === LANE_MOVING) return
    assert(chunk < this.onward.length, `component ${peer} closed a chunk that does not exist`)
    for (const { out, chunk: far } of this.onward[chunk] as readonly Onward[]) {
      ;(out.lanes[LANE_ONWARD] as Lane).close(far)
    }
    this.onward[chunk] = NONE
    this.places.close(chunk, this.secured)
  }

  wanted(peer: number, value: number): void {
    const kind = laneKindOf(value)
    if (kind === LANE_MOVING) {
      this.grantMoving(peer, chunkOf(value))
      return
    }
    const place = this.setting.members.indexOf(peer)
    this.places.want(laneIndex(place, kind, this.position, this.kinds), chunkOf(value))
  }

  /** @param asked  the low bits of a number of chunks, counted from the first one */
  private grantMoving(peer: number, asked: number): void {
    let granted = this.movingGranted[peer] as number
    for (let missing = grantsMissing(asked, granted); missing > 0; missing--) {
      const chunk = this.places.grantMoving(peer)
      if (chunk < 0) {
        sayNoRoom(this.setting)
        break
      }
      ;(this.outs[peer] as OutLink).notice(entry(ENTRY_GRANT, laneValue(LANE_MOVING, chunk)))
      granted++
    }
    this.movingGranted[peer] = granted
  }

  discard(secured: number): void {
    this.secured = secured
    this.places.discard(secured)
  }

  /** Where updates in the chunk of this byte address are passed on to. */
  onwardOfChunk(address: number): readonly Onward[] {
    return this.onward[address >>> this.arena.layout.chunkShift] as readonly Onward[]
  }

  grant(lane: number, chunk: number): boolean {
    if (lane === 0) {
      this.own.granted(chunk)
      return true
    }
    const peer = this.senderOf(lane)
    const kind = (lane - 1) % this.kinds
    if (kind === LANE_REQUEST && !this.setAsideOnward(peer, chunk)) return false
    ;(this.outs[peer] as OutLink).notice(entry(ENTRY_GRANT, laneValue(kind, chunk)))
    return true
  }

  private setAsideOnward(taker: number, chunk: number): boolean {
    const slots = this.onwardSlots[taker] ?? []
    // Fewer members than copies: nothing can be taken, so nothing may be asked for.
    if (slots.length < this.setting.mirrors - 1) return false
    let ready = true
    for (const slot of slots) {
      const lane = this.onwardLane(slot)
      if (lane.creditCount > 0) continue
      lane.want(1)
      ready = false
    }
    if (!ready) return false
    if (slots.length > 0) {
      this.onward[chunk] = slots.map((slot) => {
        const far = this.onwardLane(slot).takeCredit()
        const out = this.outs[slot] as OutLink
        return { out, chunk: far, chunkAddress: far * out.arena.layout.chunkBytes }
      })
    }
    return true
  }

  private senderOf(lane: number): number {
    return this.setting.members[peerOfLane(lane, this.position, this.kinds)] as number
  }

  private onwardLane(slot: number): Lane {
    return (this.outs[slot] as OutLink).lanes[LANE_ONWARD] as Lane
  }
}

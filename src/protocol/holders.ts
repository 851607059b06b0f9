import type { Arena } from '../memory/arena.ts'
import {
  MIRRORED_TO_MASK,
  MIRRORED_TO_SHIFT,
  RECORD_FLAGS,
  RECORD_SET,
  RECORD_VOLUME,
  TAKER_MASK,
  TAKER_SHIFT
} from '../memory/record.ts'
import { SET_WINDOW_MASK } from '../memory/source-memory.ts'
import { LANE_ONWARD, LANE_REQUEST, laneIndex, lanesPerPeer, mirrorLane } from './lane.ts'
import { mirrorsOf, onwardOf } from './members.ts'
import type { Setting } from './setting.ts'

/** One place where an update is held, and in what role: the lane of the holder's arena in which it lies. */
export interface Holder {
  readonly slot: number
  readonly lane: number
  readonly isMirror: boolean
}

/**
 * Every holder of the update whose copy lies at this address, the responsible one first. Any copy tells: who took it and
 * whom it mirrored first stand in its header, the rest are rules (members.ts). So whoever survives knows what is missing.
 */
export function holdersOf(setting: Setting, arena: Arena, address: number): Holder[] {
  const { mirrors, members, board } = setting
  const i = address >>> 2
  const flags = arena.ints[i + RECORD_FLAGS] as number
  const set = arena.ints[i + RECORD_SET] as number
  const table = board.responsibility[set & SET_WINDOW_MASK] as Uint8Array
  const responsible = table[arena.ints[i + RECORD_VOLUME] as number] as number
  const taker = ((flags & TAKER_MASK) >>> TAKER_SHIFT) - 1
  const kinds = lanesPerPeer(mirrors)
  const lane = (slot: number, peer: number, kind: number): number => laneIndex(peer, kind, slot, kinds)
  if (responsible === taker) {
    const first = ((flags & MIRRORED_TO_MASK) >>> MIRRORED_TO_SHIFT) - 1
    return [
      { slot: taker, lane: 0, isMirror: false },
      ...mirrorsOf(taker, first, mirrors, members).map((slot) => ({
        slot,
        lane: lane(slot, taker, mirrorLane(mirrors)),
        isMirror: true
      }))
    ]
  }
  return [
    { slot: responsible, lane: lane(responsible, taker, LANE_REQUEST), isMirror: false },
    { slot: taker, lane: 0, isMirror: false },
    ...onwardOf(responsible, taker, mirrors, members).map((slot) => ({
      slot,
      lane: lane(slot, responsible, LANE_ONWARD),
      isMirror: true
    }))
  ]
}

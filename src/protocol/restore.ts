import type { Arena } from '../memory/arena.ts'
import { copyOnce } from '../memory/copy.ts'
import { FLAG_MIRROR, RECORD_BYTES, RECORD_FLAGS } from '../memory/record.ts'
import { holdersOf } from './holders.ts'
import { LANE_RESTORE, type Lane } from './lane.ts'
import type { OutLink } from './out-link.ts'
import { forEachHeld } from './rebuild.ts'
import type { Setting } from './setting.ts'

/** Copies sent before something else has its turn. */
const BATCH = 512
const ENTRY_RESERVE = 16

interface Missing {
  readonly address: number
  readonly slot: number
  readonly lane: number
  readonly isMirror: boolean
}

/**
 * Gives to components that begin empty what their predecessors held: each update's first surviving holder, the responsible
 * one before all others, sends the copy, its sequence with it. All survivors agree on who that is without asking.
 */
export class Restore {
  movedUpdates = 0
  movedBytes = 0
  private readonly setting: Setting
  private readonly outs: readonly OutLink[]
  private readonly arena: Arena
  private readonly missing: Missing[] = []
  private next = 0

  constructor(setting: Setting, outs: readonly OutLink[], secured: number) {
    this.setting = setting
    this.outs = outs
    this.arena = setting.arenas[setting.slot] as Arena
    if (!setting.board.isFresh(setting.slot)) forEachHeld(setting, secured, (address) => this.findMissing(address))
  }

  /** All of it was sent and noted. */
  get isDone(): boolean {
    if (this.next < this.missing.length) return false
    return this.outs.every((out) => out.slot === this.setting.slot || out.noted === out.head)
  }

  /** Sends on. Returns how many copies it sent. */
  send(): number {
    let sent = 0
    while (this.next < this.missing.length && sent < BATCH) {
      const { address, slot, lane: target, isMirror } = this.missing[this.next] as Missing
      const out = this.outs[slot] as OutLink
      const bytes = this.arena.ints[(address >>> 2) + RECORD_BYTES] as number
      const lane = out.lane(LANE_RESTORE + target) as Lane
      if (!out.hasRoom(ENTRY_RESERVE)) break
      if (!lane.hasRoom(bytes)) {
        lane.want(1)
        break
      }
      const at = lane.reserve(bytes)
      copyOnce(this.arena, address, bytes, out.arena, at)
      const flags = (out.arena.ints[(at >>> 2) + RECORD_FLAGS] as number) & ~FLAG_MIRROR
      out.arena.ints[(at >>> 2) + RECORD_FLAGS] = isMirror ? flags | FLAG_MIRROR : flags
      out.sendRestored(at)
      this.movedBytes += bytes
      this.next++
      sent++
    }
    this.movedUpdates += sent
    return sent
  }

  /** Overridden in the simulator's broken variants only. */
  protected findMissing(address: number): void {
    const { board, slot: own } = this.setting
    const holders = holdersOf(this.setting, this.arena, address)
    const sender = holders.find(({ slot }) => !board.isFresh(slot))
    if (sender?.slot !== own) return
    for (const { slot, lane, isMirror } of holders) {
      if (board.isFresh(slot)) this.missing.push({ address, slot, lane, isMirror })
    }
  }
}

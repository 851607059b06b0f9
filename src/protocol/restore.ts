import type { Arena } from '../memory/arena.ts'
import { copyOnce } from '../memory/copy.ts'
import {
  FLAG_METADATA,
  HEADER_BYTES,
  hasData,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_HOLDERS,
  RECORD_POSITION,
  RECORD_SET,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import { HolderRule, hasSlot } from './holders.ts'
import type { OutLink } from './out-link.ts'
import { forEachHeld } from './rebuild.ts'
import { arenaOf, type Setting } from './setting.ts'

// Own names: what is imported is read from memory and checked at each use, these are compiled in (docs/decisions/0012).
const METADATA = FLAG_METADATA
const HEADER = HEADER_BYTES
const BYTES = RECORD_BYTES
const FLAGS = RECORD_FLAGS
const HOLDERS = RECORD_HOLDERS
const POSITION = RECORD_POSITION
const SET = RECORD_SET
const SOURCE = RECORD_SOURCE
const VOLUME = RECORD_VOLUME

/** Copies sent before something else has its turn. */
const BATCH = 512

/**
 * Makes everything redundant in a new view: what lost a copy gets another one, what has a new responsible component is
 * handed over to it, its sequence with it. All who hold an update agree, by the rule in holders.ts, on who sends it.
 *
 * The holders in the copies that are there already are changed only when the view stands (`keep`): until then a further
 * death begins all of it again, from what was true before.
 */
export class Restore {
  movedUpdates = 0
  movedBytes = 0
  private readonly setting: Setting
  private outs: readonly OutLink[] = []
  private readonly arena: Arena
  /** None where this component begins empty. */
  private readonly rule: HolderRule | undefined
  /** What we send: (address, slot) pairs. */
  private readonly sends: number[] = []
  private next = 0
  /** By slot: bytes that go there. */
  private readonly bytesTo: number[] = []
  /** Whose holders change: (address, low, high) triples. */
  private readonly changes: number[] = []
  /** (low, high) of each send, beside `sends`. */
  private readonly sentHolders: number[] = []

  constructor(setting: Setting) {
    this.setting = setting
    this.arena = arenaOf(setting, setting.slot)
    const fresh = setting.board.loadFresh()
    const { members, eligible, mirrors } = setting
    this.rule = fresh.includes(setting.slot) ? undefined : new HolderRule({ members, eligible, fresh, mirrors })
  }

  /** An update that remains: decides what has to be done with it. Nothing is sent yet. */
  look(address: number): void {
    if (this.rule !== undefined) this.decide(this.rule, address)
  }

  /** All that is held. */
  lookAtAll(secured: number): void {
    forEachHeld(this.setting, secured, (address) => this.look(address))
  }

  /** Everyone has cut back: what was decided may be sent. */
  begin(outs: readonly OutLink[]): void {
    this.outs = outs
    this.askForRoom()
  }

  /** For all of it at once: every asking takes two threads their turn. At most a quarter of a chunk is left unused. */
  private askForRoom(): void {
    for (const [slot, bytes] of this.bytesTo.entries()) {
      if (bytes === undefined || bytes === 0) continue
      const out = this.outs[slot] as OutLink
      out.moving.want(Math.ceil(bytes / (out.arena.layout.chunkBytes * 0.75)))
    }
  }

  /** All of it was sent and noted. */
  get isDone(): boolean {
    if (this.next < this.sends.length) return false
    const { members, slot } = this.setting
    return members.every((peer) => peer === slot || (this.outs[peer] as OutLink).noted === this.outs[peer]?.head)
  }

  /** Sends on. Returns how many copies it sent. */
  send(): number {
    let sent = 0
    while (this.next < this.sends.length && sent < BATCH) {
      const address = this.sends[this.next] as number
      const out = this.outs[this.sends[this.next + 1] as number] as OutLink
      const isBare = this.isBare(address, out.slot)
      const bytes = isBare ? HEADER : (this.arena.ints[(address >>> 2) + BYTES] as number)
      if (!out.takesUpdate) break
      if (!out.moving.hasRoom(bytes)) {
        out.moving.want(1)
        break
      }
      const at = out.moving.reserve(bytes)
      copyOnce(this.arena, address, bytes, out.arena, at)
      if (isBare) {
        const flags = out.arena.ints[(at >>> 2) + FLAGS] as number
        out.arena.ints[(at >>> 2) + FLAGS] = flags | METADATA
        out.arena.ints[(at >>> 2) + BYTES] = HEADER
      }
      const holders = (at >>> 2) + HOLDERS
      out.arena.ints[holders] = this.sentHolders[this.next] as number
      out.arena.ints[holders + 1] = this.sentHolders[this.next + 1] as number
      out.sendMoved(at)
      this.movedBytes += bytes
      this.next += 2
      sent++
    }
    this.movedUpdates += sent
    return sent
  }

  /** The view stands: the copies that were here before name their new holders. */
  keep(): void {
    const { changes } = this
    const { ints } = this.arena
    for (let n = 0; n < changes.length; n += 3) {
      const holders = ((changes[n] as number) >>> 2) + HOLDERS
      ints[holders] = changes[n + 1] as number
      ints[holders + 1] = changes[n + 2] as number
    }
    changes.length = 0
  }

  /** Whether the copy for this slot goes without bytes of data: only metadata is mirrored, or there is no more of it here. */
  private isBare(address: number, slot: number): boolean {
    const { ints } = this.arena
    if (((ints[(address >>> 2) + FLAGS] as number) & METADATA) !== 0) return true
    return this.setting.metadataOnly === true && hasData(this.arena, address) && this.responsibleFor(address) !== slot
  }

  private responsibleFor(address: number): number {
    const { ints } = this.arena
    const set = ints[(address >>> 2) + SET] as number
    const table = this.setting.board.responsibilityIn(set)
    return table[ints[(address >>> 2) + VOLUME] as number] as number
  }

  /** Overridden in the simulator's broken variants only. */
  protected decide(rule: HolderRule, address: number): void {
    const { ints, floats } = this.arena
    const i = address >>> 2
    const low = ints[i + HOLDERS] as number
    const high = ints[i + HOLDERS + 1] as number
    const responsible = this.responsibleFor(address)
    const position = floats[(address >>> 3) + POSITION] as number
    const spread = ((position | 0) + (ints[i + SOURCE] as number)) >>> 0
    rule.decide(low, high, responsible, spread)
    const { nextLow, nextHigh } = rule
    if (nextLow !== low || nextHigh !== high) this.changes.push(address, nextLow, nextHigh)
    if (!rule.isMissing || rule.sender(responsible, spread) !== this.setting.slot) return
    for (const slot of this.setting.members) {
      if (!hasSlot(nextLow, nextHigh, slot) || hasSlot(rule.hasLow, rule.hasHigh, slot)) continue
      this.sends.push(address, slot)
      const bytes = this.isBare(address, slot) ? HEADER : (ints[i + BYTES] as number)
      this.bytesTo[slot] = (this.bytesTo[slot] ?? 0) + bytes
      this.sentHolders.push(nextLow, nextHigh)
    }
  }
}

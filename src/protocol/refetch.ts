import type { Arena } from '../memory/arena.ts'
import {
  FLAG_DROPPED,
  FLAG_METADATA,
  HEADER_BYTES,
  HEADER_INTS,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_SET,
  RECORD_VOLUME,
  recordBytesFor
} from '../memory/record.ts'
import type { HeldUpdates } from './held.ts'
import type { Places } from './places.ts'
import { arenaOf, assert, type Setting, sayNoRoom } from './setting.ts'

/** Asked for at once. */
const WINDOW = 32

/** What a component asks of the primary: the present bytes of a range that was written by an update of this set. */
export interface FetchRequest {
  /** Tells the answers to an earlier view apart. */
  readonly view: number
  readonly id: number
  readonly slot: number
  /** Low bits. */
  readonly set: number
  readonly volume: number
  readonly offset: number
  readonly length: number
}

/**
 * Fetches bytes again from the primary volumes, of updates whose metadata alone was mirrored and whose responsible component
 * has died (R8; [0058]). The bytes may be newer than the update: which sets are therefore applied as one is the
 * coordinator's matter. Until all bytes of a set are here the board says so, and it is not transferred.
 */
export class Refetch {
  private readonly setting: Setting
  private readonly held: HeldUpdates
  private readonly places: Places
  private readonly arena: Arena
  private readonly view: number
  private secured: number
  private told: number | undefined
  // The chunk that is being filled.
  private chunk = -1
  private at = 0
  private end = 0

  constructor(setting: Setting, held: HeldUpdates, places: Places) {
    this.setting = setting
    this.held = held
    this.places = places
    this.arena = arenaOf(setting, setting.slot)
    this.view = setting.board.loadView() >> 2
    this.secured = (setting.firstSet - 1) | 0
    this.told = Number.NaN
    this.tell()
  }

  /** Asks for what is missing. Returns how many were asked for. */
  step(): number {
    const { missing } = this.held
    if (missing.isEmpty) return 0
    let asked = 0
    while (missing.underWayCount < WINDOW) {
      const next = missing.take((this.secured + 1) | 0)
      if (next === undefined) break
      this.ask(next.id, next.address)
      asked++
    }
    return asked
  }

  /** The bytes are there. */
  found(view: number, id: number, bytes: Uint8Array): void {
    if (view !== this.view) return
    const address = this.held.missing.found(id)
    if (address === undefined) return
    if (!this.put(address, bytes)) {
      sayNoRoom(this.setting)
      return
    }
    if (this.held.missing.isEmpty) this.closeChunk()
    this.tell()
    this.setting.surroundings.ring()
  }

  discard(secured: number): void {
    for (let set = this.secured; set !== secured; ) {
      set = (set + 1) | 0
      this.held.missing.forget(set)
    }
    this.secured = secured
    this.tell()
  }

  /** Says on the board which sets cannot be transferred yet. Nothing is missing where there is nothing to transfer to. */
  tell(): void {
    const { board, slot, secondaries } = this.setting
    const oldest = secondaries.length === 0 ? undefined : this.held.missing.oldest((this.secured + 1) | 0)
    if (oldest === this.told) return
    this.told = oldest
    board.storeMissing(slot, oldest)
  }

  private ask(id: number, address: number): void {
    const { setting, view } = this
    const { ints, floats } = this.arena
    const i = address >>> 2
    setting.surroundings.fetch?.({
      view,
      id,
      slot: setting.slot,
      set: ints[i + RECORD_SET] as number,
      volume: ints[i + RECORD_VOLUME] as number,
      offset: floats[(address >>> 3) + RECORD_OFFSET] as number,
      length: ints[i + RECORD_LENGTH] as number
    })
  }

  /** The update with its bytes takes the place of the one without. */
  private put(address: number, data: Uint8Array): boolean {
    const { ints, bytes } = this.arena
    const i = address >>> 2
    const length = ints[i + RECORD_LENGTH] as number
    assert(data.length === length, `${data.length} bytes were fetched where ${length} were asked for`)
    const recordBytes = recordBytesFor(length)
    const at = this.reserve(recordBytes)
    if (at < 0) return false
    const j = at >>> 2
    for (let n = 0; n < HEADER_INTS; n++) ints[j + n] = ints[i + n] as number
    const before = ints[i + RECORD_BYTES] as number
    ints[j + RECORD_BYTES] = recordBytes
    ints[j + RECORD_FLAGS] = (ints[i + RECORD_FLAGS] as number) & ~FLAG_METADATA
    bytes.set(data, at + HEADER_BYTES)
    const set = ints[i + RECORD_SET] as number
    this.places.note(at, recordBytes, set)
    this.held.hold(set, recordBytes - before, 0)
    this.held.replace(address, at)
    // Last: a change of view counts whatever is not dropped.
    ints[i + RECORD_FLAGS] = (ints[i + RECORD_FLAGS] as number) | FLAG_DROPPED
    return true
  }

  /** -1 when there is no memory left. */
  private reserve(recordBytes: number): number {
    if (this.at + recordBytes > this.end) {
      this.closeChunk()
      this.chunk = this.places.grantMoving(this.setting.slot)
      if (this.chunk < 0) return -1
      const { chunkBytes } = this.arena.layout
      this.at = this.chunk * chunkBytes
      this.end = this.at + chunkBytes
    }
    const at = this.at
    this.at = at + recordBytes
    return at
  }

  private closeChunk(): void {
    if (this.chunk >= 0) this.places.closeMoved(this.chunk, this.secured)
    this.chunk = -1
    this.at = 0
    this.end = 0
  }
}

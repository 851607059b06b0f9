import type { Arena } from '../memory/arena.ts'
import {
  FLAG_ZERO,
  RECORD_FLAGS,
  RECORD_LENGTH,
  RECORD_OFFSET,
  RECORD_PAYLOAD,
  RECORD_POSITION,
  RECORD_SEQUENCE,
  RECORD_SOURCE,
  RECORD_VOLUME
} from '../memory/record.ts'
import type { SetStore } from '../protocol/set-store.ts'

export interface StoredUpdate {
  readonly source: number
  readonly position: number
  readonly volume: number
  readonly offset: number
  readonly length: number
  readonly sequence: number
  /** Undefined for zeros. */
  readonly data: Uint8Array | undefined
}

/** What all secondary components of a world keep together. */
export interface SecondaryImages {
  readonly images: readonly Uint8Array[]
  journaled(component: number, set: number, updates: readonly StoredUpdate[]): void
  committed(set: number): void
  announced(set: number): void
  beginApply(set: number): void
  marked(set: number): void
}

/** A secondary component's store in memory. It reads the lent bytes as late as it may: when the part is made durable. */
export class MemoryStore implements SetStore {
  writtenBytes = 0
  private readonly component: number
  private readonly shared: SecondaryImages
  private readonly places: { arena: Arena; address: number }[] = []
  private receiving = 0
  private gathered: StoredUpdate[] = []
  private readonly sets = new Map<number, StoredUpdate[]>()
  private plan: StoredUpdate[] = []

  constructor(component: number, shared: SecondaryImages) {
    this.component = component
    this.shared = shared
  }

  begin(set: number): void {
    this.receiving = set
    this.places.length = 0
  }

  append(arena: Arena, address: number): void {
    this.places.push({ arena, address })
  }

  gather(): void {
    this.gathered = this.places.map(({ arena, address }) => readUpdate(arena, address))
    this.places.length = 0
  }

  sync(): void {
    this.sets.set(this.receiving, this.gathered)
    this.shared.journaled(this.component, this.receiving, this.gathered)
  }

  commit(set: number): void {
    this.shared.committed(set)
  }

  announce(set: number): void {
    this.shared.announced(set)
  }

  beginApply(set: number): void {
    this.shared.beginApply(set)
    this.plan = this.inOrder(this.sets.get(set) ?? [])
    this.sets.delete(set)
    this.writtenBytes = 0
  }

  applySome(): boolean {
    const update = this.plan.shift()
    if (update === undefined) return true
    const image = this.shared.images[update.volume] as Uint8Array
    if (update.data === undefined) image.fill(0, update.offset, update.offset + update.length)
    else image.set(update.data, update.offset)
    this.writtenBytes += update.length
    return false
  }

  mark(set: number): void {
    this.shared.marked(set)
  }

  /** By sequence within each volume. Overridden in the broken variant only. */
  protected inOrder(updates: readonly StoredUpdate[]): StoredUpdate[] {
    return [...updates].sort((a, b) => a.volume - b.volume || a.sequence - b.sequence)
  }
}

export function readUpdate(arena: Arena, address: number): StoredUpdate {
  const i = address >>> 2
  const f = address >>> 3
  const isZero = ((arena.ints[i + RECORD_FLAGS] as number) & FLAG_ZERO) !== 0
  const payload = address + RECORD_PAYLOAD * 8
  const dataBytes = arena.ints[i + RECORD_LENGTH] as number
  return {
    source: arena.ints[i + RECORD_SOURCE] as number,
    position: arena.floats[f + RECORD_POSITION] as number,
    volume: arena.ints[i + RECORD_VOLUME] as number,
    offset: arena.floats[f + RECORD_OFFSET] as number,
    length: isZero ? (arena.floats[f + RECORD_PAYLOAD] as number) : dataBytes,
    sequence: arena.floats[f + RECORD_SEQUENCE] as number,
    data: isZero ? undefined : new Uint8Array(arena.bytes.subarray(payload, payload + dataBytes))
  }
}

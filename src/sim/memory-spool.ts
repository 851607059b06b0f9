import type { Arena } from '../memory/arena.ts'
import type { PartFacts } from '../protocol/set-store.ts'
import type { SpoolStore } from '../protocol/spool-keeper.ts'
import { factsOf, readUpdate, type StoredUpdate } from './memory-store.ts'

/** What the spool has made durable: it outlives the store that wrote it, as files do. */
export interface SpoolDisk {
  readonly sets: Map<number, readonly StoredUpdate[]>
  /** Secondary components: volumes are theirs in turn. */
  readonly secondaries: number
  writing(): void
  kept(set: number, updates: readonly StoredUpdate[]): void
  /** A secondary component begins to take its part of a set. */
  taken(): void
  removed(upTo: number): void
}

/** The spool's store in memory. It reads the lent bytes as late as it may. */
export class MemorySpool implements SpoolStore {
  private readonly disk: SpoolDisk
  private readonly places: { arena: Arena; address: number }[] = []
  private gathered: StoredUpdate[] = []
  private receiving = 0

  constructor(disk: SpoolDisk) {
    this.disk = disk
  }

  resume(told: number, removed: number): number {
    if (told > removed && !this.disk.sets.has(told)) throw new Error(`the spool has lost set ${told}`)
    return Math.max(told, ...this.disk.sets.keys())
  }

  begin(set: number): void {
    this.disk.writing()
    this.receiving = set
    this.places.length = 0
    this.gathered = []
  }

  append(arena: Arena, address: number): void {
    this.disk.writing()
    this.places.push({ arena, address })
  }

  gather(): void {
    for (const { arena, address } of this.places) this.gathered.push(readUpdate(arena, address))
    this.places.length = 0
  }

  sync(): PartFacts {
    this.disk.writing()
    this.disk.sets.set(this.receiving, this.gathered)
    this.disk.kept(this.receiving, this.gathered)
    return factsOf(this.gathered)
  }

  remove(upTo: number): void {
    for (const set of this.disk.sets.keys()) if (set <= upTo) this.disk.sets.delete(set)
    this.disk.removed(upTo)
  }
}

import type { Arena } from '../../src/memory/arena.ts'
import type { Board } from '../../src/memory/board.ts'
import { clockMicroseconds } from '../../src/memory/clock.ts'
import { copyTwice } from '../../src/memory/copy.ts'
import type { Link } from '../../src/memory/link.ts'
import type { Parking } from '../../src/memory/parking.ts'
import {
  FLAG_SAMPLED,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME
} from '../../src/memory/record.ts'
import type { SourceMemory } from '../../src/memory/source-memory.ts'
import type { BareEnds } from './memory.ts'

const TAKE_BATCH = 256
const READ_BATCH = 1024
const NO_COPY = -1

/** The sending end to one peer: its region of that peer's arena is filled in a circle. */
class Out {
  readonly arena: Arena
  readonly link: Link
  readonly parking: Parking
  /** By entry: the own copy that waits for a sequence. */
  readonly ownCopies: Int32Array
  noted = 0
  head = 0
  published = 0
  private readonly from: number
  private readonly end: number
  private at: number

  constructor(slot: number, arena: Arena, link: Link, parking: Parking) {
    this.arena = arena
    this.link = link
    this.parking = parking
    this.ownCopies = new Int32Array(link.capacity)
    this.from = slot * arena.layout.chunkBytes
    this.end = this.from + arena.layout.chunkBytes
    this.at = this.from
  }

  get hasRoom(): boolean {
    return ((this.head - this.noted) | 0) < this.link.capacity
  }

  /** What was there before was acknowledged long ago: a region is larger than all that a source can have under way. */
  place(bytes: number): number {
    if (this.at + bytes > this.end) this.at = this.from
    const { at } = this
    this.at = at + bytes
    return at
  }

  send(address: number, ownCopy: number): number {
    const ordinal = this.head
    const at = ordinal & this.link.mask
    this.link.entries[at] = address >>> 3
    this.ownCopies[at] = ownCopy
    this.head = (ordinal + 1) | 0
    return ordinal
  }

  publish(): void {
    if (this.published === this.head) return
    this.published = this.head
    this.link.publish(this.head)
    this.parking.wake()
  }

  receive(own: Arena): number {
    const noted = this.link.loadNoted()
    const from = this.noted
    const { sequences, mask } = this.link
    for (let ordinal = from; ordinal !== noted; ordinal = (ordinal + 1) | 0) {
      const copy = this.ownCopies[ordinal & mask] as number
      if (copy !== NO_COPY) own.floats[(copy >>> 3) + RECORD_SEQUENCE] = sequences[ordinal & mask] as number
    }
    this.noted = noted
    return (noted - from) | 0
  }
}

interface Intake {
  readonly memory: SourceMemory
  readonly ownCopies: Int32Array
  readonly awaitedSlots: Uint8Array
  readonly awaitedOrdinals: Int32Array
  taken: number
  acknowledged: number
}

/**
 * What a component cannot do without: both copies, a sequence, the acknowledgement. No sets, tables, credits, transactions,
 * changes of view, nor any checking.
 */
export class BareComponent {
  /** Sequences that were given here, in all. */
  sequenced = 0
  private readonly slot: number
  private readonly board: Board
  private readonly own: Out
  private readonly outs: readonly Out[]
  private readonly ins: { slot: number; link: Link; noted: number }[] = []
  private readonly intakes: Intake[]
  private readonly sequences: Float64Array
  private readonly components: number
  private mirror: number

  constructor(slot: number, ends: BareEnds, sources: readonly SourceMemory[], volumes: number) {
    const { board, arenas, outgoing, incoming } = ends
    this.slot = slot
    this.board = board
    this.components = arenas.length
    this.outs = arenas.map(
      (arena, peer) => new Out(slot, arena, outgoing[peer] as Link, board.parking[peer] as Parking)
    )
    this.own = this.outs[slot] as Out
    for (const [peer, link] of incoming.entries()) if (peer !== slot) this.ins.push({ slot: peer, link, noted: 0 })
    this.sequences = new Float64Array(volumes)
    this.mirror = (slot + 1) % this.components
    this.intakes = sources.map((memory) => ({
      memory,
      ownCopies: new Int32Array(memory.capacity),
      awaitedSlots: new Uint8Array(memory.capacity),
      awaitedOrdinals: new Int32Array(memory.capacity),
      taken: 0,
      acknowledged: 0
    }))
  }

  step(): number {
    let work = 0
    for (const input of this.ins) work += this.read(input)
    for (const out of this.outs) if (out !== this.own) work += out.receive(this.own.arena)
    for (const intake of this.intakes) work += this.acknowledge(intake)
    for (const intake of this.intakes) work += this.take(intake)
    for (const out of this.outs) if (out !== this.own) out.publish()
    return work
  }

  private read(input: { readonly slot: number; readonly link: Link; noted: number }): number {
    const { link } = input
    const from = input.noted
    const count = Math.min(READ_BATCH, (link.loadPublished() - from) | 0)
    if (count === 0) return 0
    const { ints, floats } = this.own.arena
    const { entries, sequences, mask } = link
    for (let n = 0; n < count; n++) {
      const ordinal = (from + n) | 0
      const address = (entries[ordinal & mask] as number) << 3
      const volume = ints[(address >>> 2) + RECORD_VOLUME] as number
      if (volume % this.components !== this.slot) continue
      const sequence = this.sequence(volume)
      floats[(address >>> 3) + RECORD_SEQUENCE] = sequence
      sequences[ordinal & mask] = sequence
    }
    input.noted = (from + count) | 0
    link.storeNoted(input.noted)
    this.board.parking[input.slot]?.wake()
    return count
  }

  private take(intake: Intake): number {
    const { memory } = intake
    const { ints } = memory
    const before = intake.taken
    const count = Math.min(TAKE_BATCH, (memory.loadPublished() - before) | 0)
    if (count === 0) return 0
    let ordinal = before
    for (let n = 0; n < count; n++) {
      const at = memory.entries[ordinal & memory.mask] as number
      const bytes = ints[(at >>> 2) + RECORD_BYTES] as number
      const volume = ints[(at >>> 2) + RECORD_VOLUME] as number
      const responsible = volume % this.components
      const isOwn = responsible === this.slot
      const other = isOwn ? this.mirror : responsible
      const out = this.outs[other] as Out
      if (!out.hasRoom) break
      const ownAt = this.own.place(bytes)
      const outAt = out.place(bytes)
      copyTwice(memory, at, bytes, this.own.arena, ownAt, out.arena, outAt)
      if (isOwn) {
        const sequence = this.sequence(volume)
        this.own.arena.floats[(ownAt >>> 3) + RECORD_SEQUENCE] = sequence
        out.arena.floats[(outAt >>> 3) + RECORD_SEQUENCE] = sequence
      }
      const entry = ordinal & memory.mask
      intake.ownCopies[entry] = ownAt
      intake.awaitedSlots[entry] = other
      intake.awaitedOrdinals[entry] = out.send(outAt, isOwn ? NO_COPY : ownAt)
      ordinal = (ordinal + 1) | 0
    }
    intake.taken = ordinal
    this.nextMirror()
    return (ordinal - before) | 0
  }

  private acknowledge(intake: Intake): number {
    const { memory, taken } = intake
    const { ints } = this.own.arena
    const before = intake.acknowledged
    let ordinal = before
    for (; ordinal !== taken; ordinal = (ordinal + 1) | 0) {
      const entry = ordinal & memory.mask
      const out = this.outs[intake.awaitedSlots[entry] as number] as Out
      if (((out.noted - (intake.awaitedOrdinals[entry] as number)) | 0) <= 0) break
      const own = (intake.ownCopies[entry] as number) >>> 2
      if (((ints[own + RECORD_FLAGS] as number) & FLAG_SAMPLED) === 0) continue
      this.board.addSample(this.slot, ((clockMicroseconds() | 0) - (ints[own + RECORD_SET] as number)) | 0)
    }
    const count = (ordinal - before) | 0
    if (count === 0) return 0
    intake.acknowledged = ordinal
    memory.release(ordinal)
    memory.parking.wake()
    return count
  }

  private sequence(volume: number): number {
    const next = (this.sequences[volume] as number) + 1
    this.sequences[volume] = next
    this.sequenced++
    return next
  }

  private nextMirror(): void {
    this.mirror = (this.mirror + 1) % this.components
    if (this.mirror === this.slot) this.mirror = (this.mirror + 1) % this.components
  }
}

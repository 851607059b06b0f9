import type { Arena } from '../memory/arena.ts'
import { FLAG_METADATA, RECORD_FLAGS, RECORD_POSITION, RECORD_SET, RECORD_SOURCE } from '../memory/record.ts'
import { expandSet } from '../protocol/set-identifier.ts'
import { readUpdate, type StoredUpdate } from './memory-store.ts'
import type { PrimaryWrite } from './primary.ts'
import type { Scenario } from './scenario.ts'
import { Violation } from './violation.ts'

/** What a source put, and what became of it. */
interface Update {
  readonly volume: number
  readonly offset: number
  readonly length: number
  readonly data: Uint8Array | undefined
  readonly more: boolean
  /** The latest set that was acknowledged to anyone when it was issued; per volume also the latest sequence in it. */
  floorSet: number
  floorVolumeSet: number
  floorVolumeSequence: number
  set: number
  sequence: number
  acknowledged: boolean
  /** By slot: the byte address of the copy that is held there. */
  readonly copies: Map<number, number>
}

/**
 * Checks invariants I1-I5 at every step against a model of its own: it sees what sources put, what components note and
 * discard, what is acknowledged, journaled and applied. (I6 is the world's, I7 the instrumented memory's.)
 */
export class Checker {
  acknowledgedUpdates = 0
  appliedSets = 0
  /** Updates that were not sent, since a later one of their set overwrites them. */
  leftOut = 0
  /** How many have to hold an update. */
  private copies: number
  /** Who has died since a view stood: what they had noted before may still be acknowledged until everyone has stopped. */
  private readonly dead = new Set<number>()
  private readonly scenario: Scenario
  private readonly arenas: readonly Arena[]
  private readonly updates: Update[][]
  private readonly issuedUpTo: number[]
  /** Acknowledged updates by set, until the set is applied. */
  private readonly bySet = new Map<number, Update[]>()
  private readonly model: Uint8Array[]
  private readonly journaled = new Map<number, StoredUpdate[]>()
  private readonly parts = new Map<number, number>()
  /** Sets that are whole in the spool. */
  private readonly kept = new Set<number>()
  private latestSet: number
  private readonly volumeSet: number[]
  private readonly volumeSequence: number[]
  /** By source and volume: the set and sequence of its last acknowledged update. */
  private readonly lastOfSource: { set: number; sequence: number }[][]
  private secured: number
  private modelled: number

  constructor(scenario: Scenario, arenas: readonly Arena[]) {
    this.scenario = scenario
    this.copies = scenario.mirrors + 1
    this.arenas = arenas
    this.updates = Array.from({ length: scenario.sources }, () => [])
    this.issuedUpTo = new Array<number>(scenario.sources).fill(0)
    this.model = Array.from({ length: scenario.volumes }, () => new Uint8Array(scenario.volumeBytes))
    this.latestSet = scenario.firstSet
    this.volumeSet = new Array<number>(scenario.volumes).fill(scenario.firstSet)
    this.volumeSequence = new Array<number>(scenario.volumes).fill(0)
    this.lastOfSource = Array.from({ length: scenario.sources }, () => [])
    this.secured = scenario.firstSet - 1
    this.modelled = this.secured
  }

  put(source: number, position: number, update: Pick<Update, 'volume' | 'offset' | 'length' | 'data' | 'more'>): void {
    ;(this.updates[source] as Update[])[position] = {
      ...update,
      floorSet: 0,
      floorVolumeSet: 0,
      floorVolumeSequence: 0,
      set: 0,
      sequence: 0,
      acknowledged: false,
      copies: new Map()
    }
  }

  forget(source: number, from: number): void {
    ;(this.updates[source] as Update[]).length = from
  }

  /** For people who read what happens. */
  factsOf(source: number, position: number): { volume: number; set: number; sequence: number; holders: number[] } {
    const { volume, set, sequence, copies } = (this.updates[source] as Update[])[position] as Update
    return { volume, set, sequence, holders: [...copies.keys()].sort((a, b) => a - b) }
  }

  /** The instant before what was put becomes visible. */
  issued(source: number, upTo: number): void {
    const list = this.updates[source] as Update[]
    for (let n = this.issuedUpTo[source] as number; n < upTo; n++) {
      const update = list[n] as Update
      update.floorSet = this.latestSet
      update.floorVolumeSet = this.volumeSet[update.volume] as number
      update.floorVolumeSequence = this.volumeSequence[update.volume] as number
    }
    this.issuedUpTo[source] = upTo
  }

  /** A component has died: what it held is gone. If no more died than may, something is left of each acknowledged update. */
  died(slot: number, tolerable: boolean): void {
    this.dead.add(slot)
    if (!tolerable) return
    for (const update of this.unsecured()) {
      if ([...update.copies.keys()].every((holder) => this.dead.has(holder)))
        throw new Violation('I1', `an acknowledged update of set ${update.set} has lost all its copies`)
    }
  }

  /** A view stands: what each member holds is looked up anew, and must be redundant. */
  recount(members: readonly number[], addressesOf: (slot: number) => readonly number[]): void {
    this.copies = Math.min(this.scenario.mirrors + 1, members.length)
    this.dead.clear()
    this.findCopies(members, addressesOf)
    for (const [source, list] of this.updates.entries()) {
      for (const [position, update] of list.entries()) {
        if (!update.acknowledged) {
          if (update.copies.size > 0) throw new Violation('I4', `update ${source}:${position} was not cut back`)
        } else if (!this.isAtSecondary(update.set)) this.checkHeld(source, position, update)
      }
    }
  }

  /** Acknowledged, unsecured updates of which no member has a copy. */
  lost(
    members: readonly number[],
    addressesOf: (slot: number) => readonly number[]
  ): { set: number; volume: number }[] {
    this.findCopies(members, addressesOf)
    return this.unsecured().filter((update) => update.copies.size === 0)
  }

  /** The group is suspended: what the secondary has is the state after its last whole set. */
  isWhole(images: readonly Uint8Array[]): void {
    if (this.scenario.secondaries > 0) this.compare(images, `after the group was suspended at set ${this.modelled}`)
  }

  /** Secured, or whole in the spool, or in the journals of all secondary components. */
  private isAtSecondary(set: number): boolean {
    if (set <= this.secured || this.kept.has(set)) return true
    const { secondaries } = this.scenario
    return secondaries > 0 && (this.parts.get(set) ?? 0) === secondaries
  }

  private unsecured(): Update[] {
    return [...this.bySet.values()].flat().filter((update) => !this.isAtSecondary(update.set))
  }

  private findCopies(members: readonly number[], addressesOf: (slot: number) => readonly number[]): void {
    for (const list of this.updates) for (const update of list) update?.copies.clear()
    for (const slot of members) for (const address of addressesOf(slot)) this.held(slot, address)
  }

  /** A component has taken note of the record at this address of its arena. */
  held(slot: number, address: number): void {
    const arena = this.arenas[slot] as Arena
    const source = arena.ints[(address >>> 2) + RECORD_SOURCE] as number
    const position = arena.floats[(address >>> 3) + RECORD_POSITION] as number
    const update = this.updates[source]?.[position]
    if (update === undefined) throw new Violation('I4', `component ${slot} holds an update that nobody issued`)
    const before = update.copies.get(slot)
    // With its bytes, fetched again, it takes the place of the one without.
    if (before !== undefined && !this.dead.has(slot) && !isBare(arena, before))
      throw new Violation('I4', `component ${slot} holds update ${source}:${position} twice`)
    update.copies.set(slot, address)
  }

  /** A component gives a chunk back: no unsecured update may lie in it. */
  discarded(slot: number, chunk: number): void {
    const arena = this.arenas[slot] as Arena
    const from = chunk * arena.layout.chunkBytes
    const to = from + arena.layout.chunkBytes
    for (const list of this.bySet.values()) {
      for (const update of list) {
        const address = update.copies.get(slot)
        if (address === undefined || address < from || address >= to) continue
        if (update.set > this.secured && !this.kept.has(update.set))
          throw new Violation('I1', `component ${slot} discards an unsecured update`)
        update.copies.delete(slot)
      }
    }
    // Whoever reads it from now on reads nonsense.
    arena.bytes.fill(0xee, from, to)
  }

  /** The instant before a source's acknowledged position moves from `from` to `to`. */
  acknowledged(source: number, from: number, to: number): void {
    const list = this.updates[source] as Update[]
    let last: Update | undefined
    for (let position = from; position < to; position++) {
      const update = list[position] as Update
      this.checkHeld(source, position, update)
      this.checkOrder(source, position, update)
      if (last?.more === true && last.set !== update.set) {
        throw new Violation('I3', `a transaction of source ${source} is in sets ${last.set} and ${update.set}`)
      }
      update.acknowledged = true
      this.acknowledgedUpdates++
      const inSet = this.bySet.get(update.set)
      if (inSet === undefined) this.bySet.set(update.set, [update])
      else inSet.push(update)
      last = update
    }
    if (last?.more === true) throw new Violation('I3', `a transaction of source ${source} was acknowledged in part`)
    for (let position = from; position < to; position++) this.raiseFloors(list[position] as Update)
  }

  journal(set: number, updates: readonly StoredUpdate[]): void {
    const all = this.journaled.get(set) ?? []
    all.push(...updates)
    this.journaled.set(set, all)
    this.parts.set(set, (this.parts.get(set) ?? 0) + 1)
  }

  /** The spool says that it keeps this set: it must have what a secondary would have to have. */
  keptInSpool(set: number, updates: readonly StoredUpdate[]): void {
    if (set <= this.secured) return
    if (this.kept.has(set)) throw new Violation('I4', `set ${set} came into the spool twice`)
    this.checkWhole(set, updates, 'spool')
    this.kept.add(set)
  }

  removedFromSpool(upTo: number): void {
    for (const set of this.kept) {
      if (set > upTo) continue
      if (set > this.secured) throw new Violation('I1', `the spool has removed set ${set}, which is not secured`)
      this.kept.delete(set)
    }
  }

  /** What a source has put, from one position up to another. */
  putSince(source: number, from: number, to: number): readonly PrimaryWrite[] {
    return (this.updates[source] as Update[]).slice(from, to)
  }

  /** Sets up to this one, that were not secured before, are secured as one. */
  committed(last: number): void {
    const sets = new Set([...this.bySet.keys(), ...this.journaled.keys()])
    for (const set of [...sets].sort((a, b) => a - b)) {
      if (set > this.secured && set <= last) this.committedOne(set)
    }
    this.secured = last
  }

  /** Set c is declared secured: all of it must be there. */
  private committedOne(set: number): void {
    const parts = this.parts.get(set) ?? 0
    if (parts < this.scenario.secondaries) throw new Violation('I2', `set ${set} was committed with parts missing`)
    if (parts > this.scenario.secondaries) throw new Violation('I4', `a part of set ${set} was journaled twice`)
    const stored = this.journaled.get(set) ?? []
    this.checkWhole(set, stored, 'journal')
    this.leftOut += (this.bySet.get(set)?.length ?? 0) - stored.length
    this.journaled.delete(set)
  }

  /** The acknowledged updates of the set are there, each once, as they were issued; those may lack that another one hides. */
  private checkWhole(set: number, stored: readonly StoredUpdate[], where: string): void {
    const expected = this.bySet.get(set) ?? []
    const seen = new Set<string>()
    for (const update of stored) {
      const name = `${update.source}:${update.position}`
      if (seen.has(name)) throw new Violation('I4', `update ${name} is twice in set ${set}`)
      seen.add(name)
      const issued = this.updates[update.source]?.[update.position]
      if (issued === undefined || !issued.acknowledged || issued.set !== set) {
        throw new Violation('I2', `update ${name} is not one of set ${set}`)
      }
      if (issued.sequence !== update.sequence || !this.isSame(issued, update)) {
        throw new Violation('I2', `update ${name} has other contents at the secondary`)
      }
    }
    if (seen.size < expected.length) this.checkLeftOut(set, where, expected, stored)
  }

  private checkLeftOut(set: number, where: string, expected: readonly Update[], stored: readonly StoredUpdate[]): void {
    const isThere = (update: Update): boolean =>
      stored.some(({ volume, sequence }) => volume === update.volume && sequence === update.sequence)
    const isHidden = ({ volume, offset, length, sequence }: Update): boolean =>
      stored.some(
        (later) =>
          later.volume === volume &&
          later.sequence > sequence &&
          later.offset <= offset &&
          later.offset + later.length >= offset + length
      )
    const lacking = expected.find((update) => !isThere(update) && !isHidden(update))
    if (lacking === undefined) return
    const { volume, offset, length } = lacking
    const what = `${length} bytes at ${offset} of volume ${volume}`
    throw new Violation('I2', `the ${where} of set ${set} lacks an update of ${what}`)
  }

  /** Sets that hold nothing, or of a world without secondary, are secured without a journal. */
  securedEmpty(set: number, discard: boolean): void {
    const expected = this.bySet.get(set) ?? []
    if (!discard && expected.length > 0) throw new Violation('I2', `set ${set} was secured without its updates`)
    if (set > this.secured) this.secured = set
  }

  /** The images must be what the model is after all updates of sets up to this one. */
  applied(set: number, images: readonly Uint8Array[] | undefined): void {
    // One that holds nothing may have been applied together with others.
    if (images === undefined && set <= this.modelled) return
    if (set <= this.modelled) throw new Violation('I2', `set ${set} was applied after set ${this.modelled}`)
    this.appliedSets++
    for (const one of [...this.bySet.keys()].sort((a, b) => a - b)) if (one <= set) this.applyToModel(one)
    this.modelled = set
    if (images !== undefined) this.compare(images, `after set ${set}`)
  }

  private applyToModel(set: number): void {
    const updates = this.bySet.get(set) ?? []
    this.bySet.delete(set)
    for (const update of [...updates].sort((a, b) => a.sequence - b.sequence)) {
      const image = this.model[update.volume] as Uint8Array
      if (update.data === undefined) image.fill(0, update.offset, update.offset + update.length)
      else image.set(update.data, update.offset)
    }
  }

  private compare(images: readonly Uint8Array[], when: string): void {
    for (let volume = 0; volume < this.model.length; volume++) {
      if (Buffer.compare(this.model[volume] as Uint8Array, images[volume] as Uint8Array) !== 0) {
        throw new Violation('I2', `volume ${volume} differs from the model ${when}`)
      }
    }
  }

  get unapplied(): number {
    let count = 0
    for (const list of this.bySet.values()) count += list.length
    return count
  }

  /** Bytes that were fetched again may be newer: what they come to is seen in the images. */
  private isSame(update: Update, stored: StoredUpdate): boolean {
    const { metadataOnly } = this.scenario
    if (metadataOnly && update.data !== undefined) return sameBytes({ ...update, data: stored.data }, stored)
    return sameBytes(update, stored)
  }

  private checkHeld(source: number, position: number, update: Update): void {
    if (update.copies.size < this.copies) {
      throw new Violation('I1', `update ${source}:${position} is acknowledged but held by ${update.copies.size}`)
    }
    for (const [slot, address] of update.copies) {
      if (this.dead.has(slot)) continue
      const arena = this.arenas[slot] as Arena
      const copy = readUpdate(arena, address)
      const set = expandSet(arena.ints[(address >>> 2) + RECORD_SET] as number, this.scenario.firstSet)
      if (copy.source !== source || copy.position !== position || !this.isSame(update, copy)) {
        throw new Violation('I1', `the copy of update ${source}:${position} in component ${slot} is not that update`)
      }
      if (copy.sequence <= 0) {
        throw new Violation('I1', `the copy of update ${source}:${position} in component ${slot} has no sequence`)
      }
      if (update.set !== 0 && (update.set !== set || update.sequence !== copy.sequence)) {
        throw new Violation('I5', `the copies of update ${source}:${position} have different identifiers`)
      }
      update.set = set
      update.sequence = copy.sequence
    }
  }

  private checkOrder(source: number, position: number, update: Update): void {
    if (update.set < update.floorSet) {
      throw new Violation(
        'I3',
        `update ${source}:${position} is in set ${update.set}, issued after one of set ${update.floorSet} was acknowledged`
      )
    }
    const last = (this.lastOfSource[source] as { set: number; sequence: number }[])[update.volume]
    if (
      last !== undefined &&
      (update.set < last.set || (update.set === last.set && update.sequence <= last.sequence))
    ) {
      throw new Violation('I4', `update ${source}:${position} comes before an earlier one of its source and volume`)
    }
    ;(this.lastOfSource[source] as { set: number; sequence: number }[])[update.volume] = update
    if (update.set < update.floorVolumeSet || update.set > update.floorVolumeSet) return
    if (update.sequence <= update.floorVolumeSequence) {
      throw new Violation(
        'I3',
        `update ${source}:${position} has a sequence not above one acknowledged before its issue`
      )
    }
  }

  private raiseFloors(update: Update): void {
    if (update.set > this.latestSet) this.latestSet = update.set
    const set = this.volumeSet[update.volume] as number
    if (update.set > set) {
      this.volumeSet[update.volume] = update.set
      this.volumeSequence[update.volume] = update.sequence
    } else if (update.set === set && update.sequence > (this.volumeSequence[update.volume] as number)) {
      this.volumeSequence[update.volume] = update.sequence
    }
  }
}

function isBare(arena: Arena, address: number): boolean {
  return ((arena.ints[(address >>> 2) + RECORD_FLAGS] as number) & FLAG_METADATA) !== 0
}

function sameBytes(update: Update, stored: StoredUpdate): boolean {
  if (update.volume !== stored.volume || update.offset !== stored.offset || update.length !== stored.length)
    return false
  if (update.data === undefined || stored.data === undefined) return update.data === stored.data
  return Buffer.compare(update.data, stored.data) === 0
}

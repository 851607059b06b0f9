import type { Arena } from '../memory/arena.ts'
import { PHASE_REBUILD, PHASE_RESTORE, PHASE_RUN, PHASE_STOP } from '../memory/board.ts'
import {
  FLAG_MIRROR,
  RECORD_FLAGS,
  RECORD_HOLDERS,
  RECORD_SEQUENCE,
  RECORD_SET,
  RECORD_VOLUME
} from '../memory/record.ts'
import { slotsOf } from '../protocol/holders.ts'
import type { FinalPositions } from '../protocol/rebuild.ts'
import type { SetProgress } from '../protocol/set-line.ts'
import type { Place } from '../protocol/setting.ts'
import type { StoredUpdate } from './memory-store.ts'
import { nameAt } from './names.ts'
import type { World } from './world.ts'

/** What a view begins with, to tell later what it has changed. */
interface Roles {
  readonly tables: ReadonlyMap<number, Uint8Array>
  readonly attached: readonly number[]
}

/**
 * Tells what happens in a world in sentences for people, one event a line. An update's name is `source:position`. Nothing of it
 * exists where nobody listens.
 */
export class Story {
  private readonly world: World
  private readonly tell: (line: string) => void
  /** Also what each component says of a set on its way. */
  private readonly isDetailed: boolean
  private begun = false
  private roles: Roles | undefined

  constructor(world: World, tell: (line: string) => void, isDetailed: boolean) {
    this.world = world
    this.tell = tell
    this.isDetailed = isDetailed
  }

  /** The world is built: from here on it is told. */
  begin(): void {
    this.begun = true
  }

  line(text: string): void {
    if (this.begun) this.tell(text)
  }

  // The way of an update.

  posted(source: number, from: number, to: number, slot: number): void {
    for (let position = from; position < to; position++) {
      const { volume } = this.world.checker.factsOf(source, position)
      this.line(`source ${source}: posts ${source}:${position} for volume ${volume} to component ${slot}`)
    }
  }

  /** A component has taken note of a copy: of what it took itself, of what it was sent, or of what a view moves to it. */
  held(place: Place, address: number): void {
    const arena = place.arenas[place.slot] as Arena
    const { ints, floats, layout } = arena
    const i = address >>> 2
    const name = nameAt(arena, address)
    const sequence = floats[(address >>> 3) + RECORD_SEQUENCE] as number
    const set = ints[i + RECORD_SET] as number
    const volume = ints[i + RECORD_VOLUME] as number
    const sender = place.chunks.senderOf(address >>> layout.chunkShift)
    const component = `component ${place.slot}`
    const responsible = place.board.responsibilityIn(set)[volume] as number
    if (this.phase !== PHASE_RUN) {
      this.line(`${component}: gets ${name} of set ${set}, sequence ${sequence}, from component ${sender}`)
    } else if (sender !== place.slot) {
      const isMirror = ((ints[i + RECORD_FLAGS] as number) & FLAG_MIRROR) !== 0
      const as = isMirror ? 'keeps it as mirror' : `is responsible, gives it sequence ${sequence} in set ${set}`
      this.line(`${component}: receives ${name} from component ${sender}, ${as}`)
    } else if (responsible === place.slot) {
      const holders = slotsOf(ints[i + RECORD_HOLDERS] as number, ints[i + RECORD_HOLDERS + 1] as number)
      const mirrors = holders.filter((slot) => slot !== place.slot)
      this.line(
        `${component}: takes ${name} into set ${set}, is responsible, gives it sequence ${sequence}, mirrors it to ${components(mirrors)}`
      )
    } else {
      this.line(
        `${component}: takes ${name} into set ${set}, sends it to component ${responsible}, which is responsible`
      )
    }
  }

  acknowledged(source: number, from: number, to: number): void {
    const by = this.world.sources[source]?.memory.loadAttached()
    for (let position = from; position < to; position++) {
      const { set, sequence, holders } = this.world.checker.factsOf(source, position)
      const what = `set ${set}, sequence ${sequence}, held by ${components(holders)}`
      this.line(`component ${by}: acknowledges ${source}:${position}, ${what}`)
    }
  }

  // The life of a set.

  forming(set: number): void {
    const table = [...this.world.board.responsibilityIn(set)]
    const roles = table.map((slot, volume) => `component ${slot} for volume ${volume}`)
    this.line(`control: set ${set - 1} closes, set ${set} forms; responsible in it: ${roles.join(', ')}`)
  }

  said(slot: number, what: string): void {
    if (this.isDetailed && this.phase === PHASE_RUN) this.line(`component ${slot}: ${what}`)
  }

  set(progress: SetProgress): void {
    const { set, state, updates } = progress
    const counts = updates === 0 ? 'nothing is in it' : `${count(updates)} acknowledged and held`
    if (state === 'formed') this.line(`control: set ${set} is formed, ${counts}`)
    // An empty one has no way to go; what applies it says so itself.
    else if (state === 'secured' && updates > 0) this.line(`control: set ${set} is secured, its copies may go`)
  }

  leftOut(slot: number, name: string): void {
    this.line(`component ${slot}: does not send ${name}, a later update of the set overwrites it`)
  }

  journaled(secondary: number, set: number, updates: readonly StoredUpdate[]): void {
    const names = updates.map(({ source, position }) => `${source}:${position}`)
    this.line(`secondary ${secondary}: journals its part of set ${set}: ${names.join(', ') || 'nothing'}`)
  }

  // A change of view.

  viewBegins(reason: string): void {
    this.line(`control: view ${this.world.coordinator.view + 1} begins, ${reason}`)
    const { board, coordinator, sources } = this.world
    const tables = new Map<number, Uint8Array>()
    for (let set = coordinator.securedSet + 1; set <= coordinator.formingSet; set++) {
      tables.set(set, Uint8Array.from(board.responsibilityIn(set)))
    }
    this.roles = { tables, attached: sources.map(({ memory }) => memory.loadAttached()) }
  }

  phaseBegins(phase: number): void {
    if (phase === PHASE_STOP) this.line('control: asks everybody to stop')
    else if (phase === PHASE_REBUILD) {
      this.line('control: asks everybody to begin anew on what was acknowledged, then to restore what is missing')
    }
  }

  phaseDone(slot: number, phase: number): void {
    if (phase === PHASE_STOP) this.line(`component ${slot}: has stopped`)
    else if (phase === PHASE_RESTORE) this.line(`component ${slot}: all that it had to send is held`)
  }

  /** Everybody has stopped: what that means for sources and roles. */
  settled(final: FinalPositions): void {
    const ends = [...final].map(([source, position]) => `source ${source} at ${position}`)
    this.line(`control: all have stopped, acknowledged positions are final: ${ends.join(', ')}`)
    const { board, sources } = this.world
    for (const [set, before] of this.roles?.tables ?? []) {
      const table = board.responsibilityIn(set)
      for (const [volume, slot] of before.entries()) {
        if (table[volume] === slot) continue
        this.line(`control: volume ${volume} of set ${set} goes from component ${slot} to component ${table[volume]}`)
      }
    }
    for (const { id, memory } of sources) {
      const before = this.roles?.attached[id]
      if (before === memory.loadAttached()) continue
      this.line(`control: source ${id} goes from component ${before} to component ${memory.loadAttached()}`)
    }
  }

  rebuilt(slot: number, kept: readonly string[], dropped: readonly string[]): void {
    const nothing = this.world.board.loadFresh().includes(slot) ? 'begins empty' : 'holds nothing'
    const keeps = kept.length === 0 ? nothing : `keeps ${kept.join(', ')}`
    const drops = dropped.length === 0 ? '' : `, cuts back ${dropped.join(', ')}`
    this.line(`component ${slot}: ${keeps}${drops}`)
  }

  viewStands(view: number, members: readonly number[]): void {
    this.line(`control: view ${view} stands with ${components(members)}`)
  }

  private get phase(): number {
    return this.world.board.loadView() & 3
  }
}

export function components(slots: readonly number[]): string {
  if (slots.length === 1) return `component ${slots[0]}`
  return `components ${slots.slice(0, -1).join(', ')} and ${slots[slots.length - 1]}`
}

function count(updates: number): string {
  return updates === 1 ? '1 update' : `${updates} updates`
}

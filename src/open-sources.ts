import { TidemarkError } from './errors.ts'
import type { Board } from './memory/board.ts'
import {
  SET_WINDOW_MASK,
  SOURCE_CLOSED,
  SOURCE_CLOSING,
  type SourceLayout,
  SourceMemory,
  sourceLayout
} from './memory/source-memory.ts'
import { checkName, checkSourceOptions } from './options.ts'
import type { SourceFacts } from './runtime/messages.ts'

interface OpenedSource {
  readonly id: number
  readonly name: string
  readonly memory: SourceMemory
  /** Resolvers of those who wait until the control thread has let go of it. */
  readonly closers: (() => void)[]
}

export interface NewSource {
  readonly facts: SourceFacts
  readonly memory: SourceMemory
  readonly layout: SourceLayout
}

/** The sources of a group, as its host sees them: names, memory, which of them are open. */
export class OpenSources {
  private readonly board: Board
  private readonly components: number
  private readonly sources = new Map<string, OpenedSource>()
  private nextId = 0
  private nextSlot = 0
  private lastSet = 0

  constructor(board: Board, components: number) {
    this.board = board
    this.components = components
  }

  /** Makes a source's memory. Components are taken in turn unless one is asked for. */
  open(name: string, options: { component?: number; ringBytes?: number } | undefined): NewSource {
    checkName('source name', name)
    const known = this.sources.get(name)
    if (known !== undefined && known.memory.loadState() < SOURCE_CLOSED) {
      throw new TidemarkError('TIDEMARK_OPTIONS', `there is an open source '${name}' already`, { source: name })
    }
    const { component, ringBytes } = checkSourceOptions(options, this.components)
    if (known !== undefined) this.closed(known.id)
    const layout = sourceLayout(ringBytes)
    const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
    const slot = component ?? this.nextSlot++ % this.components
    memory.storeAttached(slot)
    const id = this.nextId++
    this.sources.set(name, { id, name, memory, closers: [] })
    return { facts: { id, buffer: memory.buffer, layout, slot }, memory, layout }
  }

  /** Resolves when the control thread has let go of it; at once when there is none of that name. */
  async close(name: string): Promise<void> {
    const source = this.sources.get(name)
    if (source === undefined || source.memory.loadState() >= SOURCE_CLOSED) return
    if (source.memory.leaveOpen(SOURCE_CLOSING)) {
      this.board.parking[source.memory.loadAttached()]?.wake()
      source.memory.parking.wake()
    }
    await new Promise<void>((resolve) => source.closers.push(resolve))
  }

  /** The control thread has let go of it. */
  closed(id: number): void {
    for (const source of this.sources.values()) {
      if (source.id !== id) continue
      this.rememberLastSet(source)
      this.sources.delete(source.name)
      for (const closed of source.closers) closed()
    }
  }

  /** Nothing is taken from any of them any more: their calls are told by their state. */
  abandon(state: number): void {
    for (const source of this.sources.values()) {
      if (source.memory.loadState() < state) source.memory.storeState(state)
      source.memory.parking.wake()
      for (const closed of source.closers.splice(0)) closed()
    }
  }

  /** The set that holds the last update acknowledged to any source so far; 0 when there was none. */
  lastSetWithUpdates(): number {
    for (const source of this.sources.values()) this.rememberLastSet(source)
    return this.lastSet
  }

  private rememberLastSet(source: OpenedSource): void {
    const forming = this.board.loadNear()
    for (let set = forming; set > Math.max(this.lastSet, forming - SET_WINDOW_MASK); set--) {
      if (source.memory.hasSetBegin(set | 0)) this.lastSet = set
    }
  }
}

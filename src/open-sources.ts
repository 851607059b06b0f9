import { TidemarkError } from './errors.ts'
import type { Board } from './memory/board.ts'
import {
  SET_WINDOW_MASK,
  SOURCE_CLOSED,
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
  private readonly sources = new Map<string, OpenedSource>()
  private nextId = 0
  private nextSlot = 0
  private lastSet = 0

  constructor(board: Board) {
    this.board = board
  }

  /** Makes a source's memory. Components are taken in turn unless one is asked for. */
  open(name: string, options: { component?: number; ringBytes?: number } | undefined): NewSource {
    checkName('source name', name)
    const known = this.sources.get(name)
    if (known !== undefined && known.memory.loadState() < SOURCE_CLOSED) {
      throw new TidemarkError('TIDEMARK_OPTIONS', `there is an open source '${name}' already`, { source: name })
    }
    const { component, ringBytes } = checkSourceOptions(options)
    const slot = component === undefined ? this.nextMember() : slotOf(this.board, component)
    if (known !== undefined) this.closed(known.id)
    const layout = sourceLayout(ringBytes)
    const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
    memory.storeAttached(slot)
    const id = this.nextId++
    this.board.addOpened()
    this.sources.set(name, { id, name, memory, closers: [] })
    return { facts: { id, buffer: memory.buffer, layout, name }, memory, layout }
  }

  /** Resolves when the control thread has let go of it; at once when there is none of that name. @param ask  it to do so */
  async close(name: string, ask: (id: number) => void): Promise<void> {
    const source = this.sources.get(name)
    if (source === undefined || source.memory.loadState() >= SOURCE_CLOSED) return
    ask(source.id)
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

  /** Components that new sources may go to are taken in turn. */
  private nextMember(): number {
    const eligible = this.board.loadEligible()
    return eligible[this.nextSlot++ % eligible.length] ?? 0
  }

  private rememberLastSet(source: OpenedSource): void {
    const forming = this.board.loadNear()
    for (let set = forming; set > Math.max(this.lastSet, forming - SET_WINDOW_MASK); set--) {
      if (source.memory.hasSetBegin(set | 0)) this.lastSet = set
    }
  }
}

/** Where the component with this identifier is. @throws TidemarkError TIDEMARK_UNKNOWN_COMPONENT */
export function slotOf(board: Board, id: unknown): number {
  for (let slot = 0; slot < board.layout.slots; slot++) {
    if (board.loadShown(slot) !== 'empty' && board.loadIdentity(slot) === id) return slot
  }
  throw new TidemarkError('TIDEMARK_UNKNOWN_COMPONENT', `there is no component ${String(id)}`, { component: id })
}

import {
  SOURCE_ABANDONED,
  SOURCE_CLOSED,
  SOURCE_CLOSING,
  SOURCE_OPEN,
  SOURCE_SUSPENDED,
  SourceMemory
} from '../memory/source-memory.ts'
import type { Coordinator } from '../protocol/coordinator.ts'
import type { ControlNotice, SourceFacts } from './messages.ts'

interface AttachedSource {
  readonly id: number
  readonly memory: SourceMemory
  readonly facts: SourceFacts
  closed: boolean
  /** Once closed: the forming set at that time; it is counted in sets up to it. */
  closedIn: number
}

/** The primary sources, as the control thread sees them: attached to components, closed, forgotten. */
export class ControlSources {
  private readonly coordinator: Coordinator
  private readonly tell: (notice: ControlNotice) => void
  private readonly mailAttach: (slot: number, facts: SourceFacts) => void
  private readonly sources = new Map<number, AttachedSource>()
  /** So many were ever attached. */
  attached = 0

  constructor(
    coordinator: Coordinator,
    tell: (notice: ControlNotice) => void,
    mailAttach: (slot: number, facts: SourceFacts) => void
  ) {
    this.coordinator = coordinator
    this.tell = tell
    this.mailAttach = mailAttach
  }

  get areAllClosed(): boolean {
    return [...this.sources.values()].every((source) => source.closed)
  }

  attach(facts: SourceFacts, suspended: boolean): void {
    const memory = new SourceMemory(facts.buffer, facts.layout)
    const source: AttachedSource = { id: facts.id, memory, facts, closed: false, closedIn: 0 }
    this.sources.set(facts.id, source)
    this.attached++
    this.coordinator.sources.add(source)
    if (suspended) memory.leaveOpen(SOURCE_SUSPENDED)
    // Its host chose a component that may have gone since, or is about to: that one is given nothing more.
    if (!this.coordinator.isEligible(memory.loadAttached())) memory.storeAttached(this.coordinator.eligible[0] ?? 0)
    this.mailAttach(memory.loadAttached(), facts)
  }

  /** What a member is told when everyone rebuilds. */
  attachedTo(slot: number): SourceFacts[] {
    return [...this.sources.values()]
      .filter(({ closed, memory }) => !closed && memory.loadAttached() === slot)
      .map(({ facts }) => facts)
  }

  /** Its component has let go of it. */
  finished(id: number): void {
    const source = this.sources.get(id)
    if (source === undefined || source.closed) return
    source.closed = true
    source.closedIn = this.coordinator.formingSet
    this.tell({ type: 'source-closed', id })
  }

  /** A component may have died between letting go of a source and saying so. */
  noteFinished(): void {
    for (const { id, memory } of this.sources.values()) if (memory.loadState() === SOURCE_CLOSED) this.finished(id)
  }

  /**
   * A closed source counts until the sets in which it was acknowledged are secured: until then a change of view checks again
   * that all of them is held.
   */
  forgetClosed(): void {
    for (const source of this.sources.values()) {
      if (!source.closed || this.coordinator.securedSet < source.closedIn) continue
      this.sources.delete(source.id)
      this.coordinator.sources.delete(source)
    }
  }

  /** Open sources that are in threads of the host, and in which. */
  inThreads(): { id: number; threadId: number }[] {
    return [...this.sources.values()].flatMap(({ id, memory }) => {
      const threadId = memory.loadOwner()
      return threadId === undefined || memory.loadState() !== SOURCE_OPEN ? [] : [{ id, threadId }]
    })
  }

  nameOf(id: number): string {
    return this.sources.get(id)?.facts.name ?? ''
  }

  /** What it had posted whole is taken, then its component lets go of it. */
  close(id: number): void {
    const source = this.sources.get(id)
    if (source === undefined) return
    source.memory.leaveOpen(SOURCE_CLOSING)
    source.memory.parking.rouse()
    this.coordinator.wakeComponents()
  }

  closeAll(): void {
    for (const { memory } of this.sources.values()) {
      if (memory.loadState() === SOURCE_OPEN) memory.leaveOpen(SOURCE_CLOSING)
      memory.parking.wake()
    }
  }

  suspend(): void {
    for (const { memory } of this.sources.values()) {
      memory.leaveOpen(SOURCE_SUSPENDED)
      memory.parking.wake()
    }
  }

  abandon(): void {
    for (const { memory } of this.sources.values()) {
      memory.storeState(SOURCE_ABANDONED)
      memory.parking.wake()
    }
  }

  rouse(): void {
    for (const { memory } of this.sources.values()) memory.parking.rouse()
  }
}

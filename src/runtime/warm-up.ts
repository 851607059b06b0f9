import { Board } from '../memory/board.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import { SourceMemory, sourceLayout } from '../memory/source-memory.ts'
import { SourceWriter } from '../memory/source-writer.ts'
import { Coordinator } from '../protocol/coordinator.ts'
import type { FinalPositions } from '../protocol/rebuild.ts'
import type { Place } from '../protocol/setting.ts'
import { ViewMember } from '../protocol/view-member.ts'
import { allocateGroupMemory, componentMemory, type GroupShape, openArenas, openTables } from './group-memory.ts'
import type { ProtocolOptions } from './messages.ts'
import { openPlace } from './place.ts'

const MEMBERS = 3
const VOLUMES = 4
const SHAPE: GroupShape = {
  components: MEMBERS,
  slots: MEMBERS,
  mirrors: 1,
  volumes: VOLUMES,
  secondaries: 0,
  componentMemoryBytes: 2 * 2 ** 20,
  metadataOnly: false
}
const PROTOCOL: ProtocolOptions = {
  mirrors: 1,
  mirrorTarget: 'spread',
  ordering: 'volume-sequence',
  metadataOnly: false
}
const UPDATES = 1500
const FAILURES = 4

/**
 * A whole group in this thread, in memory of its own, that takes updates and loses a component again and again: what a spare
 * does before it is needed, so that it has not to be compiled while sources wait. A cold component takes some 5 us to note a
 * copy that is given to it, a warm one a tenth of that (docs/decisions/0007-spares-are-warmed-up.md).
 */
class Rehearsal {
  private readonly board: Board
  private readonly places: readonly Place[]
  private readonly members: ViewMember[]
  private readonly sources: { id: number; memory: SourceMemory; writer: SourceWriter }[] = []
  private readonly coordinator: Coordinator

  constructor() {
    const memory = allocateGroupMemory(SHAPE)
    this.board = new Board(memory.board, memory.boardLayout)
    const secondaryOf = new Uint8Array(SHAPE.volumes)
    this.coordinator = new Coordinator(
      {
        board: this.board,
        founders: MEMBERS,
        mirrors: 1,
        tables: openTables(memory),
        policy: 'round-robin',
        periodMs: Number.POSITIVE_INFINITY,
        secondaries: 0,
        firstSet: 1,
        raiseCeiling: () => {},
        onSet: () => {},
        publishFinal: (positions) => this.publish(positions),
        onView: () => {}
      },
      0
    )
    this.places = memory.tables.map((_, slot) => {
      // As a thread is given it: what was posted is not made of quite the same numbers and objects.
      const task = { slot, memory: structuredClone(componentMemory(memory, slot)), protocol: PROTOCOL, secondaryOf }
      const surroundings = { clock: clockMicroseconds, ring: () => {}, fetch: () => {} }
      return openPlace(task, openArenas(task.memory), this.board, surroundings)
    })
    this.members = this.places.map((place) => new ViewMember(place, {}, 1))
    for (let id = 0; id < MEMBERS; id++) this.openSource(id)
  }

  run(): void {
    const data = new Uint8Array(256)
    for (let failure = 0; failure < FAILURES; failure++) {
      for (let n = 0; n < UPDATES; n++) {
        const { writer } = this.sources[n % MEMBERS] as { writer: SourceWriter }
        writer.refresh()
        writer.put(n % VOLUMES, 0, data, 0, n % 256, 0, 0)
        writer.publish()
        if (n % 50 === 0) this.settle()
      }
      this.fail(failure % MEMBERS)
      if (failure % 2 === 1) this.coordinator.closeSet(undefined)
      this.settle()
    }
  }

  private fail(slot: number): void {
    this.coordinator.failed(slot, true)
    this.members[slot] = new ViewMember(this.places[slot] as Place, {})
    this.coordinator.ready(slot)
  }

  private settle(): void {
    let work = 1
    while (work > 0 || !this.coordinator.stands) {
      this.coordinator.step(0, 0)
      work = 0
      for (const member of this.members) work += member.step()
    }
  }

  private publish(final: FinalPositions): void {
    for (const [slot, member] of this.members.entries()) {
      member.prepare({ final, sources: this.sources.filter(({ memory }) => memory.loadAttached() === slot) })
    }
  }

  private openSource(id: number): void {
    const layout = structuredClone(sourceLayout(2 ** 18))
    const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
    memory.storeAttached(id)
    this.sources.push({ id, memory, writer: new SourceWriter(memory) })
    this.coordinator.sources.add({ id, memory })
    this.members[id]?.attach({ id, memory })
  }
}

export function warmUp(): void {
  new Rehearsal().run()
}

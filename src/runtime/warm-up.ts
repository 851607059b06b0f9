import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Board } from '../memory/board.ts'
import { allocateParking, parkingIn } from '../memory/parking.ts'
import { SourceMemory, sourceLayout } from '../memory/source-memory.ts'
import { SourceWriter } from '../memory/source-writer.ts'
import { Coordinator } from '../protocol/coordinator.ts'
import type { FinalPositions } from '../protocol/rebuild.ts'
import { ComponentAgent } from './component-agent.ts'
import { type Agent, runDutyCycle } from './duty-cycle.ts'
import { allocateGroupMemory, componentMemory, type GroupMemory, type GroupShape, openTables } from './group-memory.ts'
import type { ComponentMail, ComponentTask, ProtocolOptions, SourceFacts } from './messages.ts'

const MEMBERS = 3
const VOLUMES = 4
const SHAPE: GroupShape = {
  components: MEMBERS,
  slots: MEMBERS,
  mirrors: 1,
  volumes: VOLUMES,
  secondaries: 0,
  hasSpool: false,
  componentMemoryBytes: 2 ** 19,
  metadataOnly: false
}
const PROTOCOL: ProtocolOptions = {
  mirrors: 1,
  mirrorTarget: 'spread',
  ordering: 'volume-sequence',
  metadataOnly: false,
  confirm: 'journaled'
}
/** For each failure. */
const UPDATES = 200
const FAILURES = 400
/** A component looks around for a while before it sleeps. */
const IDLE_TURNS = 5
/** Both ways of copying are needed (memory/copy.ts). */
const LONG = 1024
const LONG_EVERY = 16

/**
 * A whole group in this thread, in memory of its own, that takes updates and loses a component again and again: what a spare
 * does before it is needed, so that it has not to be compiled while sources wait. A cold component takes some 5 us to note a
 * copy that is given to it, a warm one a tenth of that (docs/decisions/0007-spares-are-warmed-up.md).
 */
class Rehearsal {
  private readonly memory: GroupMemory
  private readonly board: Board
  private readonly agents: Agent[] = []
  /** By slot: the control thread's end. */
  private readonly ports: MessagePort[] = []
  private readonly sources: { facts: SourceFacts; memory: SourceMemory; writer: SourceWriter }[] = []
  private readonly coordinator: Coordinator

  constructor() {
    this.memory = allocateGroupMemory(SHAPE)
    this.board = new Board(this.memory.board, structuredClone(this.memory.boardLayout))
    this.coordinator = new Coordinator(
      {
        board: this.board,
        founders: MEMBERS,
        mirrors: 1,
        tables: openTables(this.memory),
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
    for (let slot = 0; slot < MEMBERS; slot++) this.begin(slot, 1)
    for (let id = 0; id < MEMBERS; id++) this.openSource(id)
  }

  run(): void {
    const data = new Uint8Array(LONG)
    for (let failure = 0; failure < FAILURES; failure++) {
      for (let n = 0; n < UPDATES; n++) {
        const { writer } = this.sources[n % MEMBERS] as { writer: SourceWriter }
        writer.refresh()
        writer.put(n % VOLUMES, 0, data, 0, n % LONG_EVERY === 0 ? LONG : n % 256, 0, 0)
        writer.publish()
        if (n % 50 === 0) this.settle()
      }
      this.leaveUnderWay(data)
      this.fail(failure % MEMBERS)
      if (failure % 2 === 1) this.coordinator.closeSet(undefined)
      this.settle()
    }
    for (const port of this.ports) port.close()
  }

  /** Taken, but not acknowledged when the one fails that should hold it: everybody drops it and it is taken again. */
  private leaveUnderWay(data: Uint8Array): void {
    for (const { writer } of this.sources) {
      writer.refresh()
      for (let n = 0; n < VOLUMES; n++) writer.put(n, 0, data, 0, LONG, 0, 0)
      writer.publish()
    }
    for (const agent of this.agents) turn(agent)
    // Whoever sleeps has to be woken.
    for (let slot = 0; slot < MEMBERS; slot++) this.board.parking[slot]?.prepare()
  }

  private fail(slot: number): void {
    this.coordinator.failed(slot, true)
    this.ports[slot]?.close()
    this.begin(slot, undefined)
    this.coordinator.ready(slot)
  }

  /** As a thread is given it: what was posted is not made of quite the same numbers and objects. */
  private begin(slot: number, firstSet: number | undefined): void {
    const { port1, port2 } = new MessageChannel()
    const posted = { slot, memory: componentMemory(this.memory, slot), protocol: PROTOCOL, firstSet, overwrites: true }
    const task: ComponentTask = { ...structuredClone(posted), secondaryOf: new Uint8Array(VOLUMES), port: port2 }
    this.ports[slot] = port1
    this.agents[slot] = new ComponentAgent(task, this.board)
  }

  private settle(): void {
    let work = 1
    while (work > 0 || !this.coordinator.stands) {
      this.board.answerDoorbell()
      this.coordinator.step(0, 0)
      work = 0
      for (const agent of this.agents) work += turn(agent)
    }
    for (let n = 0; n < IDLE_TURNS; n++) {
      for (const agent of this.agents) turn(agent)
    }
  }

  private publish(positions: FinalPositions): void {
    for (let slot = 0; slot < MEMBERS; slot++) {
      const sources = this.sources.filter(({ memory }) => memory.loadAttached() === slot).map(({ facts }) => facts)
      this.mail(slot, { type: 'view', positions, sources })
    }
  }

  private openSource(id: number): void {
    const layout = sourceLayout(2 ** 16)
    const buffer = SourceMemory.allocate(layout)
    const memory = new SourceMemory(buffer, layout)
    memory.storeAttached(id)
    const facts: SourceFacts = { id, buffer, layout, name: `source ${id}` }
    this.sources.push({ facts, memory, writer: new SourceWriter(memory) })
    this.coordinator.sources.add({ id, memory })
    this.mail(id, { type: 'attach', source: facts })
  }

  private mail(slot: number, mail: ComponentMail): void {
    this.ports[slot]?.postMessage(mail)
    this.board.addMail(slot)
    this.board.parking[slot]?.wake()
  }
}

const parking = parkingIn(allocateParking())

/** An agent that now and then has something to do, for so many turns. */
abstract class Idler implements Agent {
  protected turns = 50

  get isOver(): boolean {
    return this.turns <= 0
  }
  abstract step(): number
  abstract attend(): number

  doze(): void {}

  again(): this {
    this.turns = 3000
    return this
  }
}

/** Nobody else would. */
function wake(): number {
  parking.wake()
  return 0
}

/**
 * Agents of more shapes and functions than the engine tells apart at one place. It inlines what a call always leads to: a
 * duty cycle that had driven but one agent would be compiled with the whole protocol inside, while sources wait, and the
 * protocol on its own once more.
 */
const IDLERS: readonly Idler[] = [
  new (class extends Idler {
    step = (): number => --this.turns & 64
    attend = (): number => wake()
  })(),
  new (class extends Idler {
    step = (): number => --this.turns & 65
    attend = (): number => wake()
  })(),
  new (class extends Idler {
    step = (): number => --this.turns & 66
    attend = (): number => wake()
  })(),
  new (class extends Idler {
    step = (): number => --this.turns & 128
    attend = (): number => wake()
  })(),
  new (class extends Idler {
    step = (): number => --this.turns & 32
    attend = (): number => wake()
  })()
]

function turn(agent: Agent): number {
  const work = step(agent)
  if (work > 0) return work
  agent.doze()
  return agent.attend()
}

function step(agent: Agent): number {
  return agent.step()
}

/** Afterwards, in the thread's event loop: the engine puts in place what it has compiled and gives back what the rehearsal has used. */
export const SETTLING_MS = 20

export function warmUp(): void {
  for (const idler of IDLERS) runDutyCycle(idler, parking)
  for (const idler of IDLERS) {
    runDutyCycle(idler.again(), parking)
    turn(idler)
  }
  new Rehearsal().run()
}

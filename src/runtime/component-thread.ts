import { type MessagePort, receiveMessageOnPort, threadId } from 'node:worker_threads'
import { Board } from '../memory/board.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import type { Parking } from '../memory/parking.ts'
import { SetTables } from '../memory/set-tables.ts'
import { SOURCE_CLOSED, SourceMemory } from '../memory/source-memory.ts'
import type { FinalPositions } from '../protocol/rebuild.ts'
import type { Setting } from '../protocol/setting.ts'
import { ViewMember } from '../protocol/view-member.ts'
import { type Agent, runDutyCycle, untilItEnds } from './duty-cycle.ts'
import { openArenas, openLink } from './group-memory.ts'
import type { ComponentMail, ComponentTask, ThreadNotice, ThreadOutcome } from './messages.ts'

/** A backup component on its thread: drives the state machine, takes its mail, lets go of closed sources. */
class ComponentAgent implements Agent {
  private readonly task: ComponentTask
  private readonly board: Board
  private readonly member: ViewMember
  private final: FinalPositions = new Map()
  private mailSeen = 0

  constructor(task: ComponentTask, board: Board) {
    const { memory, slot, protocol } = task
    this.task = task
    this.board = board
    const column = memory.links.map((row) => openLink(memory, row[slot] as SharedArrayBuffer))
    const setting: Setting = {
      slot,
      members: memory.shape.components,
      mirrors: protocol.mirrors,
      mirrorTarget: protocol.mirrorTarget,
      ordering: protocol.ordering,
      volumes: memory.shape.volumes,
      board,
      arenas: openArenas(memory),
      outgoing: (memory.links[slot] as SharedArrayBuffer[]).map((buffer) => openLink(memory, buffer)),
      incoming: column,
      tables: new SetTables(memory.tables[slot] as SharedArrayBuffer, memory.shape.volumes),
      chunks: new ChunkTable(memory.chunkTables[slot] as SharedArrayBuffer),
      secondaries: (memory.drains[slot] as SharedArrayBuffer[]).map((buffer) => openLink(memory, buffer)),
      secondaryOf: task.secondaryOf,
      firstSet: task.firstSet,
      surroundings: {
        clock: clockMicroseconds,
        ring: () => this.ring()
      }
    }
    const sources = task.sources.map(({ id, buffer, layout }) => ({ id, memory: new SourceMemory(buffer, layout) }))
    this.member = new ViewMember(setting, {}, () => this.finalPositions(), task.fresh, sources)
  }

  get isOver(): boolean {
    return this.board.loadShutdown() !== 0
  }

  step(): number {
    return this.member.step()
  }

  attend(): number {
    let work = this.takeMail()
    for (const intake of this.member.component.finishedSources()) {
      this.member.detach(intake)
      intake.memory.storeState(SOURCE_CLOSED)
      intake.memory.parking.wake()
      this.tell({ type: 'source-finished', id: intake.id })
      work++
    }
    return work
  }

  private takeMail(): number {
    const mail = this.board.loadMail(this.task.slot)
    if (mail === this.mailSeen) return 0
    this.mailSeen = mail
    let taken = 0
    for (let got = receiveMessageOnPort(this.task.port); got; got = receiveMessageOnPort(this.task.port)) {
      this.receive(got.message as ComponentMail)
      taken++
    }
    return taken
  }

  private receive(mail: ComponentMail): void {
    switch (mail.type) {
      case 'attach': {
        const { id, buffer, layout } = mail.source
        const memory = new SourceMemory(buffer, layout)
        this.member.attach({ id, memory }, memory.loadReleased())
        break
      }
      case 'final':
        this.final = mail.positions
        break
      case 'fail':
        if (mail.how === 'exit') process.exit(1)
        throw new Error('asked to fail')
    }
  }

  /** They were put into the mailbox before the board said that everyone rebuilds. */
  private finalPositions(): FinalPositions {
    this.takeMail()
    return this.final
  }

  private ring(): void {
    if (this.board.pressDoorbell()) this.tell({ type: 'ring' })
  }

  private tell(notice: ThreadNotice): void {
    this.task.port.postMessage(notice)
  }
}

/** The task that a pool's thread runs for as long as the component lives. */
export default function runComponent(task: ComponentTask): ThreadOutcome {
  return untilItEnds(() => backUp(task))
}

function backUp(task: ComponentTask): void {
  const board = new Board(task.memory.board, task.memory.boardLayout)
  // The port delivers only when it is asked: this thread does not return to its event loop.
  const port: MessagePort = task.port
  port.unref()
  const agent = new ComponentAgent(task, board)
  const running: ThreadNotice = { type: 'running', threadId }
  port.postMessage(running)
  runDutyCycle(agent, board.parking[task.slot] as Parking)
  port.close()
}

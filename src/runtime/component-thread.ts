import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { Board } from '../memory/board.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import type { Parking } from '../memory/parking.ts'
import { SetTables } from '../memory/set-tables.ts'
import { SOURCE_CLOSED, SourceMemory } from '../memory/source-memory.ts'
import { BackupComponent } from '../protocol/component.ts'
import { SourceIntake } from '../protocol/source-intake.ts'
import { type Agent, runDutyCycle, untilItEnds } from './duty-cycle.ts'
import { openArenas, openLink } from './group-memory.ts'
import type { ComponentMail, ComponentTask, ThreadNotice, ThreadOutcome } from './messages.ts'

/** A backup component on its thread: drives the state machine, takes its mail, lets go of closed sources. */
class ComponentAgent implements Agent {
  private readonly task: ComponentTask
  private readonly board: Board
  private readonly component: BackupComponent
  private mailSeen = 0

  constructor(task: ComponentTask, board: Board) {
    const { memory, slot, protocol } = task
    this.task = task
    this.board = board
    const column = memory.links.map((row) => openLink(memory, row[slot] as SharedArrayBuffer))
    this.component = new BackupComponent({
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
    })
  }

  get isOver(): boolean {
    return this.board.loadShutdown() !== 0
  }

  step(): number {
    return this.component.step()
  }

  attend(): number {
    const mail = this.board.loadMail(this.task.slot)
    let work = 0
    if (mail !== this.mailSeen) {
      this.mailSeen = mail
      for (let got = receiveMessageOnPort(this.task.port); got; got = receiveMessageOnPort(this.task.port)) {
        this.receive(got.message as ComponentMail)
        work++
      }
    }
    for (const intake of this.component.finishedSources()) {
      this.component.detach(intake)
      intake.memory.storeState(SOURCE_CLOSED)
      intake.memory.parking.wake()
      this.tell({ type: 'source-finished', id: intake.id })
      work++
    }
    return work
  }

  private receive(mail: ComponentMail): void {
    const { id, buffer, layout } = mail.source
    const memory = new SourceMemory(buffer, layout)
    this.component.attach(new SourceIntake(id, memory, this.task.protocol.mirrors, memory.loadReleased()))
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
  const running: ThreadNotice = { type: 'running' }
  port.postMessage(running)
  runDutyCycle(agent, board.parking[task.slot] as Parking)
  port.close()
}

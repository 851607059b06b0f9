import { type MessagePort, receiveMessageOnPort, threadId } from 'node:worker_threads'
import { Arena } from '../memory/arena.ts'
import { Board } from '../memory/board.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import { type Parking, standStill } from '../memory/parking.ts'
import { SOURCE_CLOSED, SourceMemory } from '../memory/source-memory.ts'
import { type AttachedMemory, ViewMember } from '../protocol/view-member.ts'
import { type Agent, runDutyCycle, untilItEnds } from './duty-cycle.ts'
import { openArenas } from './group-memory.ts'
import type { ComponentMail, ComponentTask, FailureKind, SourceFacts, ThreadNotice, ThreadOutcome } from './messages.ts'
import { openPlace } from './place.ts'
import type { WarmUp } from './thread-pool.ts'
import { warmUp } from './warm-up.ts'

/** A backup component on its thread: drives the state machine, takes its mail, lets go of closed sources. */
class ComponentAgent implements Agent {
  private readonly task: ComponentTask
  private readonly board: Board
  private readonly arenas: (Arena | undefined)[]
  private readonly member: ViewMember
  /** By identifier: what is shared is opened once. */
  private readonly sources = new Map<number, AttachedMemory>()
  private mailSeen = 0
  private hasToGo = false

  constructor(task: ComponentTask, board: Board) {
    this.task = task
    this.board = board
    this.arenas = openArenas(task.memory)
    const place = openPlace(task, this.arenas, board, {
      clock: clockMicroseconds,
      ring: () => this.ring(),
      fetch: (request) => this.tell({ type: 'fetch', request })
    })
    this.member = new ViewMember(place, {}, task.firstSet, () => this.takeMail())
  }

  get isOver(): boolean {
    return this.hasToGo || this.board.loadShutdown() !== 0
  }

  step(): number {
    this.board.beat(this.task.slot)
    return this.member.step()
  }

  attend(): number {
    let work = this.takeMail()
    for (const intake of this.member.component?.finishedSources() ?? []) {
      this.member.detach(intake)
      this.sources.delete(intake.id)
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
      case 'attach':
        this.member.attach(this.open(mail.source))
        break
      case 'view':
        this.member.prepare({ final: mail.positions, sources: mail.sources.map((facts) => this.open(facts)) })
        break
      case 'arena':
        this.arenas[mail.slot] ??= new Arena(mail.buffer, this.task.memory.arenaLayout)
        break
      case 'fetched':
        this.member.fetched(mail.view, mail.id, mail.bytes)
        break
      case 'leave':
        this.hasToGo = true
        break
      case 'fail':
        this.fail(mail.how)
    }
  }

  private open({ id, buffer, layout }: SourceFacts): AttachedMemory {
    const known = this.sources.get(id)
    if (known !== undefined) return known
    const source = { id, memory: new SourceMemory(buffer, layout) }
    this.sources.set(id, source)
    return source
  }

  private fail(how: FailureKind): void {
    this.board.storeDeath(this.task.slot, clockMicroseconds())
    if (how === 'exit') process.exit(1)
    if (how === 'hang') {
      // It may have been about to sleep: whoever is asleep does not hang, and nobody might wake it.
      this.board.parking[this.task.slot]?.cancel()
      standStill()
    }
    throw new Error('asked to fail')
  }

  private ring(): void {
    if (this.board.pressDoorbell()) this.tell({ type: 'ring' })
  }

  private tell(notice: ThreadNotice): void {
    this.task.port.postMessage(notice)
  }
}

/** The task that a pool's thread runs for as long as the component lives; or one after which it is warm. */
export default function runComponent(task: ComponentTask | WarmUp): ThreadOutcome {
  return untilItEnds(() => ('warmUp' in task ? warmUp() : backUp(task)))
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

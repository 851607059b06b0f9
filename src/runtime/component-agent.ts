import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { Arena, type ArenaLayout } from '../memory/arena.ts'
import type { Board } from '../memory/board.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import { standStill } from '../memory/parking.ts'
import { SOURCE_CLOSED, SourceMemory } from '../memory/source-memory.ts'
import type { SourceIntake } from '../protocol/source-intake.ts'
import { type AttachedMemory, ViewMember } from '../protocol/view-member.ts'
import type { Agent } from './duty-cycle.ts'
import { openArenas } from './group-memory.ts'
import type { ComponentMail, ComponentTask, FailureKind, SourceFacts, ThreadNotice } from './messages.ts'
import { openPlace } from './place.ts'
import { overwriteRemains } from './remains.ts'

const NONE: readonly SourceIntake[] = []

/** A backup component on its thread: drives the state machine, takes its mail, lets go of closed sources. */
export class ComponentAgent implements Agent {
  private readonly slot: number
  private readonly port: MessagePort
  private readonly arenaLayout: ArenaLayout
  private readonly board: Board
  private readonly arenas: (Arena | undefined)[]
  private readonly member: ViewMember
  /** By identifier: what is shared is opened once. */
  private readonly sources = new Map<number, AttachedMemory>()
  private mailSeen = 0
  private hasToGo = false

  constructor(task: ComponentTask, board: Board) {
    this.slot = task.slot
    this.port = task.port
    this.arenaLayout = task.memory.arenaLayout
    this.board = board
    this.arenas = openArenas(task.memory)
    const place = openPlace(task, this.arenas, board, {
      clock: clockMicroseconds,
      ring: () => this.ring(),
      fetch: (request) => this.tell({ type: 'fetch', request }),
      beginsEmpty: () => {
        if (task.overwrites) overwriteRemains(place.arenas[place.slot] as Arena, place.chunks)
      }
    })
    this.member = new ViewMember(place, {}, task.firstSet, () => this.takeMail())
  }

  get isOver(): boolean {
    return this.hasToGo || this.board.loadShutdown() !== 0
  }

  step(): number {
    this.board.beat(this.slot)
    return this.member.step()
  }

  attend(): number {
    let work = this.takeMail()
    for (let intake = this.finished(); intake !== undefined; intake = this.finished()) {
      this.member.detach(intake)
      this.sources.delete(intake.id)
      intake.memory.storeState(SOURCE_CLOSED)
      intake.memory.parking.wake()
      this.tell({ type: 'source-finished', id: intake.id })
      work++
    }
    return work
  }

  doze(): void {
    const intakes = this.member.component?.intakes ?? NONE
    // By number: an iterator is an object more, each time that there is nothing to do.
    for (let n = 0; n < intakes.length; n++) intakes[n]?.memory.doze()
  }

  private finished(): SourceIntake | undefined {
    return this.member.component?.finishedSource()
  }

  private takeMail(): number {
    const mail = this.board.loadMail(this.slot)
    if (mail === this.mailSeen) return 0
    this.mailSeen = mail
    let taken = 0
    for (let got = receiveMessageOnPort(this.port); got; got = receiveMessageOnPort(this.port)) {
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
        this.arenas[mail.slot] ??= new Arena(mail.buffer, this.arenaLayout)
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
    this.board.storeDeath(this.slot, clockMicroseconds())
    if (how === 'exit') process.exit(1)
    if (how === 'hang') {
      // It may have been about to sleep: whoever is asleep does not hang, and nobody might wake it.
      this.board.parking[this.slot]?.cancel()
      standStill()
    }
    throw new Error('asked to fail')
  }

  private ring(): void {
    if (this.board.pressDoorbell()) this.tell({ type: 'ring' })
  }

  private tell(notice: ThreadNotice): void {
    this.port.postMessage(notice)
  }
}

import { Arena } from '../memory/arena.ts'
import type { Board } from '../memory/board.ts'
import { ChunkTable } from '../memory/chunk-table.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import type { ComponentHost } from '../protocol/membership.ts'
import { componentMemory, type GroupMemory } from './group-memory.ts'
import { HangWatch } from './hang-watch.ts'
import type { Appointment, ComponentMail, ComponentTask, FailureKind, ThreadNotice } from './messages.ts'
import { overwriteRemains } from './remains.ts'
import { Spares } from './spares.ts'
import { type HostedThread, ThreadPool } from './thread-pool.ts'

export interface ComponentHostSetting {
  readonly board: Board
  readonly memory: GroupMemory
  readonly spares: number
  readonly mirrors: number
  readonly hangTimeoutMs: number
  /** What every component is told when it starts. */
  readonly terms: Pick<ComponentTask, 'protocol' | 'secondaryOf'>
  /** A slot in which a component is for the first time gets memory, and everybody hears of it. */
  giveMemory(slot: number): void
  /** Low bits, for founders. */
  firstSet(): number
  /** What members were told last before they rebuilt: one that begins meanwhile must know it too. */
  facts(slot: number): ComponentMail | undefined
  onNotice(notice: ThreadNotice): void
  /** It was in no view that stood: nobody counts on what it holds. */
  holdsNothing(slot: number): boolean
  /** A spare has become warm. */
  onSpare(): void
  /** It looks at the board. */
  onStarted(slot: number): void
  /** A thread is told to end, or has come to its end; `onEnded` follows. */
  onEnds(slot: number): void
  /** Its thread is fenced. */
  onEnded(end: ComponentEnd): void
  /** Threads cannot be started any more. */
  onHopeless(slot: number, cause: unknown): void
}

export interface ComponentEnd {
  readonly slot: number
  readonly id: number
  /** It was told to go. */
  readonly isOrderly: boolean
  readonly isHung: boolean
  /** By `performance.now`: when it died as far as is known. */
  readonly diedAt: number
  readonly cause: unknown
}

interface Component {
  readonly id: number
  readonly thread: HostedThread
  isOrderly: boolean
  isHung: boolean
  /** By `performance.now`: when progress was last seen. */
  seenAt: number
  /** Its thread was told to end, and may take its time. */
  isStopped: boolean
  isEnding: boolean
}

/** After so many in a row something is wrong that another thread does not mend. */
const MOST_FAILED_STARTS = 5

/** The component threads of a group: started, watched, fenced, mailed; spares kept warm. */
export class ThreadedComponents implements ComponentHost {
  private readonly setting: ComponentHostSetting
  private readonly pool = new ThreadPool('component-thread')
  private readonly hangs: HangWatch
  private readonly components: (Component | undefined)[] = []
  private readonly overwritten = new Set<number>()
  /** Slots of failed components whose memory is to be overwritten. */
  private readonly remains = new Set<number>()
  private readonly spares: Spares
  private nextId = 0
  private failedStarts = 0
  private timer: NodeJS.Timeout | undefined
  private isOver = false

  constructor(setting: ComponentHostSetting) {
    this.setting = setting
    this.spares = new Spares({
      pool: this.pool,
      count: setting.spares,
      nextId: () => this.nextId++,
      task: () => ({ ...setting.terms, memory: setting.memory }),
      onNotice: (notice) => setting.onNotice(notice),
      onWarm: () => setting.onSpare()
    })
    this.hangs = new HangWatch(setting.board, setting.hangTimeoutMs, setting.mirrors)
    this.timer = setInterval(() => this.tick(), this.hangs.tickMs)
  }

  /** Identifiers of the warm spares. */
  get spareIds(): readonly number[] {
    return this.spares.ids
  }

  /** The components that a group begins with. Resolves when all of them run, and spares are warm. */
  async startFounders(count: number): Promise<void> {
    for (let slot = 0; slot < count; slot++) this.begin(slot, 'founder')
    await Promise.all([...this.components.map((component) => component?.thread.running), this.spares.refill()])
  }

  hasSpare(): boolean {
    return this.spares.ids.length > 0
  }

  start(slot: number, as: 'replacement' | 'urgent' | 'one more'): void {
    const component = this.begin(slot, as)
    component.thread.running.then(
      () => {
        if (this.isOver || this.components[slot] !== component || component.isEnding) return
        this.failedStarts = 0
        this.setting.onStarted(slot)
      },
      // Whoever watches its end says so.
      () => {}
    )
  }

  end(slot: number): void {
    const component = this.components[slot]
    if (component === undefined) return
    component.isOrderly = true
    this.mail(slot, { type: 'leave' })
  }

  /** Everything is redundant: there is time for what takes a core for a while. */
  refill(): void {
    this.hangs.isRedundant()
    void this.spares.refill()
  }

  /** For tests: makes a component fail as a thread can. Its memory is overwritten when it has ended. */
  fail(slot: number, how: FailureKind): void {
    const component = this.components[slot]
    if (component === undefined) return
    this.overwritten.add(slot)
    if (how !== 'terminate') {
      this.mail(slot, { type: 'fail', how })
      return
    }
    // One that hangs died when it was seen last.
    if (!component.isStopped) this.setting.board.storeDeath(slot, clockMicroseconds())
    this.stop(slot, component)
  }

  /** Where the component with this identifier is. */
  slotOf(id: number): number | undefined {
    const slot = this.components.findIndex((component) => component?.id === id)
    return slot < 0 ? undefined : slot
  }

  mail(slot: number, mail: ComponentMail): void {
    const component = this.components[slot]
    if (component === undefined) return
    const { board } = this.setting
    component.thread.port.postMessage(mail)
    board.addMail(slot)
    board.parking[slot]?.wake()
  }

  mailAll(mail: ComponentMail): void {
    for (let slot = 0; slot < this.components.length; slot++) this.mail(slot, mail)
  }

  /** After the board has said that everything is over. */
  async close(): Promise<void> {
    this.isOver = true
    this.spares.close()
    clearInterval(this.timer)
    // One that hangs does not see it.
    const patience = setTimeout(() => this.terminateAll(), this.setting.hangTimeoutMs)
    await Promise.all(this.components.map((component) => component?.thread.ended))
    clearTimeout(patience)
    await this.pool.destroy()
  }

  private terminateAll(): void {
    for (const component of this.components) component?.thread.terminate()
  }

  /** On a busy machine it lives on for a while, and makes no progress: that is no hang. */
  private stop(slot: number, component: Component): void {
    component.isStopped = true
    component.thread.terminate()
    this.setting.onEnds(slot)
  }

  private begin(slot: number, as: 'founder' | 'replacement' | 'urgent' | 'one more'): Component {
    const { board, memory } = this.setting
    this.setting.giveMemory(slot)
    const appointment = { slot, memory: componentMemory(memory, slot), overwrites: this.remains.delete(slot) }
    const isUrgent = as === 'replacement' || as === 'urgent'
    const spare = isUrgent ? this.spares.take(appointment) : undefined
    // Whoever adds a component gets one that was never seen.
    const id = (as === 'replacement' ? spare?.id : undefined) ?? this.nextId++
    board.storeDeath(slot, 0)
    board.storeIdentity(slot, id)
    // Whoever was here before has counted; this one has done nothing yet.
    board.statistics[slot]?.fill(0)
    this.hangs.began(slot)
    const thread = spare?.thread ?? this.startCold(appointment, as === 'founder')
    const component = {
      id,
      thread,
      isOrderly: false,
      isHung: false,
      seenAt: performance.now(),
      isStopped: false,
      isEnding: false
    }
    this.components[slot] = component
    const facts = this.setting.facts(slot)
    if (facts !== undefined) this.mail(slot, facts)
    thread.ended.then((cause) => this.hasEnded(slot, component, cause))
    thread.fenced.then(() => this.hasEnded(slot, component, undefined))
    return component
  }

  private startCold(appointment: Appointment, isFounder: boolean): HostedThread {
    const { terms, firstSet, onNotice } = this.setting
    const task = { ...appointment, ...terms, firstSet: isFounder ? firstSet() : undefined }
    return this.pool.start<ComponentTask>(task, onNotice)
  }

  /** Its task or thread has ended. It is out when its thread is fenced, not before. */
  private async hasEnded(slot: number, component: Component, cause: unknown): Promise<void> {
    if (this.isOver || component.isEnding) return
    component.isEnding = true
    if (!component.isStopped) this.stop(slot, component)
    await component.thread.fenced
    if (this.isOver) return
    this.components[slot] = undefined
    if (!component.thread.hasRun() && ++this.failedStarts > MOST_FAILED_STARTS) {
      this.setting.onHopeless(slot, cause)
      return
    }
    const { id, isOrderly, isHung } = component
    if (!isOrderly && !isHung && !this.setting.holdsNothing(slot)) this.hangs.died()
    if (this.overwritten.delete(slot)) this.remains.add(slot)
    this.setting.onEnded({ slot, id, isOrderly, isHung, diedAt: this.deathOf(slot, component), cause })
  }

  private deathOf(slot: number, component: Component): number {
    const stamped = this.setting.board.loadDeath(slot)
    if (stamped !== 0) return stamped / 1000 - performance.timeOrigin
    return component.isHung ? component.seenAt : performance.now()
  }

  private tick(): void {
    const slots: number[] = []
    for (const [slot, component] of this.components.entries()) {
      if (component?.thread.hasRun() === true && !component.isStopped) slots.push(slot)
    }
    for (const slot of this.hangs.tick(slots, (slot) => this.setting.holdsNothing(slot))) {
      const component = this.components[slot] as Component
      component.isHung = true
      this.stop(slot, component)
    }
    for (const slot of slots) {
      const component = this.components[slot]
      if (component !== undefined && this.hangs.isMoving(slot)) component.seenAt = performance.now()
    }
  }

  /**
   * For tests: overwrites what failed components held, when everybody has stopped: a secondary component that reads it finds
   * out that the view has changed. Only in slots that nobody is given: who gets one does it when it begins empty, since
   * whoever begins anew does not wait for this thread before it sends something there.
   */
  overwriteRemains(): void {
    const { arenas, arenaLayout, chunkTables } = this.setting.memory
    for (const slot of this.remains) {
      const arena = new Arena(arenas[slot] as SharedArrayBuffer, arenaLayout)
      overwriteRemains(arena, new ChunkTable(chunkTables[slot] as SharedArrayBuffer))
    }
    this.remains.clear()
  }
}

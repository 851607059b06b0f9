import { TidemarkError } from '../errors.ts'
import { Board, STAT_HELD_BYTES, STAT_REJECTED } from '../memory/board.ts'
import {
  SOURCE_ABANDONED,
  SOURCE_CLOSING,
  SOURCE_OPEN,
  SOURCE_SUSPENDED,
  SourceMemory
} from '../memory/source-memory.ts'
import { Coordinator, type SetProgress } from '../protocol/coordinator.ts'
import { ProtocolError } from '../protocol/setting.ts'
import { openDirectory, type SecondaryDirectory } from '../secondary/directory.ts'
import { openTables } from './group-memory.ts'
import type {
  ComponentMail,
  ComponentTask,
  ControlNotice,
  ControlOptions,
  FailureKind,
  HostRequest,
  SecondaryTask,
  SetPositions,
  SetRecord,
  SourceFacts,
  ThreadNotice
} from './messages.ts'
import { type HostedThread, ThreadPool } from './thread-pool.ts'

interface AttachedSource {
  readonly id: number
  readonly memory: SourceMemory
  readonly facts: SourceFacts
  closed: boolean
  /** Once closed: the forming set at that time; it is counted in sets up to it. */
  closedIn: number
}

/** After so many in a row something is wrong that another thread does not mend. */
const MOST_FAILED_STARTS = 5
const NO_LONGER_THAN_MS = 2 ** 31 - 1

/** The control thread's work: hosts the component threads and drives the coordinator, by its own clock and doorbell. */
export class Control {
  private readonly options: ControlOptions
  private readonly tell: (notice: ControlNotice) => void
  private readonly board: Board
  private readonly directory: SecondaryDirectory | undefined
  private readonly coordinator: Coordinator
  private readonly components: ThreadPool
  private readonly secondaries: ThreadPool | undefined
  private readonly threads: HostedThread[] = []
  private readonly secondaryThreads: HostedThread[] = []
  private readonly sources = new Map<number, AttachedSource>()
  private readonly closeRequests: { request: number; label: string | undefined }[] = []
  private readonly holdRequests: number[] = []
  private lastApplied: SetRecord | undefined
  private timer: NodeJS.Timeout | undefined
  private stepQueued = false
  private failed = false
  private pressure = false
  private closing = false
  private abandoned = false
  private ending = false
  private rejected = 0
  private secondaryOf = new Uint8Array(0)
  private readonly replacing = new Set<HostedThread>()
  /** Slots whose component has been replaced in the change of view that goes on, and when that began. */
  private readonly changing = new Set<number>()
  private changeBegan: number | undefined
  /** Component threads in a row that ended before they ran. */
  private failedStarts = 0
  private readonly overwrite = new Set<number>()
  private onProgress: (() => void) | undefined

  constructor(options: ControlOptions, tell: (notice: ControlNotice) => void) {
    this.options = options
    this.tell = tell
    const { memory } = options
    this.board = new Board(memory.board, memory.boardLayout)
    this.directory = options.directory === undefined ? undefined : openDirectory(options.directory)
    const { components, secondaries } = memory.shape
    this.coordinator = new Coordinator(
      {
        board: this.board,
        members: components,
        tables: openTables(memory),
        policy: options.policy,
        periodMs: options.periodMs,
        secondaries,
        firstSet: (this.directory?.lastSet ?? 0) + 1,
        raiseCeiling: (set) => this.directory?.raiseCeiling(set),
        onSet: (progress) => this.onSet(progress),
        publishFinal: (positions) => this.mailAll({ type: 'final', positions }),
        onView: (view) => this.onView(view)
      },
      performance.now()
    )
    this.components = new ThreadPool('component-thread', components, options.spares)
    this.secondaries = secondaries === 0 ? undefined : new ThreadPool('secondary-thread', secondaries, 0)
    this.startThreads()
    Promise.all([...this.threads, ...this.secondaryThreads].map((thread) => thread.running)).then(
      () => {
        this.tell({ type: 'ready', positions: this.positions() })
        this.step()
      },
      // Whoever watches the thread says so.
      () => {}
    )
  }

  /** Returns false when the group has ended. */
  async receive(request: HostRequest): Promise<boolean> {
    switch (request.type) {
      case 'open-source':
        this.attach(request.source)
        break
      case 'close-set':
        this.closeRequests.push(request)
        this.step()
        break
      case 'hold':
        this.coordinator.applyHeld = true
        this.holdRequests.push(request.request)
        this.answerHolds()
        break
      case 'release':
        this.coordinator.applyHeld = false
        this.step()
        break
      case 'fail':
        this.fail(request.slot, request.how)
        break
      case 'close':
        // Asked a second time, it waits no longer for what was taken to be applied.
        if (!request.drain) this.abandoned = true
        this.onProgress?.()
        if (this.closing) break
        this.closing = true
        await this.end(request.drain)
        return false
    }
    return true
  }

  private startThreads(): void {
    const { memory } = this.options
    const { components, secondaries, volumes } = memory.shape
    const onNotice = (notice: ThreadNotice): void => this.onNotice(notice)
    const lastSet = this.coordinator.formingSet - 1
    const secondaryOf = Uint8Array.from({ length: volumes }, (_, volume) => volume % Math.max(1, secondaries))
    for (let index = 0; index < secondaries; index++) {
      const keeps = Array.from(secondaryOf.keys()).filter((volume) => secondaryOf[volume] === index)
      const store = (this.directory as SecondaryDirectory).storeOptions(index, keeps)
      const thread = (this.secondaries as ThreadPool).start<SecondaryTask>({ index, memory, store, lastSet }, onNotice)
      this.secondaryThreads.push(thread)
      this.watch(thread, `secondary component ${index}`)
    }
    this.secondaryOf = secondaryOf
    for (let slot = 0; slot < components; slot++) this.startComponent(slot, false)
  }

  private startComponent(slot: number, fresh: boolean): HostedThread {
    const { memory, protocol } = this.options
    const { secondaryOf } = this
    const firstSet = (this.coordinator.securedSet + 1) | 0
    const sources = [...this.sources.values()].filter((source) => !source.closed && source.facts.slot === slot)
    const task = { slot, memory, protocol, secondaryOf, firstSet, fresh, sources: sources.map(({ facts }) => facts) }
    const thread = this.components.start<ComponentTask>(task, (notice) => this.onNotice(notice))
    this.threads[slot] = thread
    thread.ended.then(
      (outcome) => this.replace(slot, thread, outcome && TidemarkError.fromRecord(outcome)),
      (error: unknown) => this.replace(slot, thread, error)
    )
    thread.exited.then(() => this.replace(slot, thread))
    return thread
  }

  /**
   * A component's task or thread has ended. It is out when its thread has exited, not before; then a warm thread takes its
   * place, and the view changes.
   */
  private async replace(slot: number, thread: HostedThread, cause?: unknown): Promise<void> {
    if (this.ending || this.threads[slot] !== thread || this.replacing.has(thread)) return
    this.replacing.add(thread)
    const endedAt = performance.now()
    thread.terminate()
    await thread.exited
    if (this.ending) return
    this.failedStarts = thread.hasRun() ? 0 : this.failedStarts + 1
    if (this.failedStarts > MOST_FAILED_STARTS) {
      this.suspend(`component ${slot}, which could not be started,`, cause)
      return
    }
    if (this.changeBegan === undefined) this.changeBegan = endedAt
    this.changing.add(slot)
    this.coordinator.failed(slot)
    this.rouseAll()
    if (this.overwrite.delete(slot)) new Uint8Array(this.options.memory.arenas[slot] as SharedArrayBuffer).fill(0xdd)
    const next = this.startComponent(slot, true)
    await next.running.then(
      () => {
        this.coordinator.replaced(slot)
        this.step()
      },
      // It ended before it ran: whoever watches it has begun again.
      () => {}
    )
  }

  /** Whoever died may have left a sleeper unwoken. */
  private rouseAll(): void {
    for (const parking of this.board.parking) parking.rouse()
    for (const { memory } of this.sources.values()) memory.parking.rouse()
  }

  private onView(view: number): void {
    const tookMs = performance.now() - (this.changeBegan ?? performance.now())
    this.tell({ type: 'view', view, slots: [...this.changing], tookMs })
    this.changing.clear()
    this.changeBegan = undefined
  }

  private mailAll(mail: ComponentMail): void {
    for (let slot = 0; slot < this.threads.length; slot++) this.mail(slot, mail)
  }

  private mail(slot: number, mail: ComponentMail): void {
    ;(this.threads[slot] as HostedThread).port.postMessage(mail)
    this.board.addMail(slot)
    this.board.parking[slot]?.wake()
  }

  /** For tests: makes a component fail as a thread can. Its memory is overwritten when it has ended. */
  private fail(slot: number, how: FailureKind): void {
    this.overwrite.add(slot)
    if (how === 'terminate') (this.threads[slot] as HostedThread).terminate()
    else this.mail(slot, { type: 'fail', how })
  }

  /** Until secondary components can be replaced, the end of one suspends the group. */
  private watch(thread: HostedThread, name: string): void {
    thread.ended.then(
      (outcome) => {
        if (this.ending) return
        this.suspend(name, outcome === undefined ? undefined : TidemarkError.fromRecord(outcome))
      },
      (error: unknown) => {
        if (!this.ending) this.suspend(name, error)
      }
    )
  }

  private suspend(name: string, cause: unknown): void {
    if (this.failed) return
    this.failed = true
    const said = cause instanceof Error ? `: ${cause.message}` : ''
    const isTold = cause instanceof TidemarkError && cause.code !== 'TIDEMARK_SUSPENDED'
    const error = isTold
      ? cause
      : new TidemarkError('TIDEMARK_SUSPENDED', `${name} has ended, the group is suspended${said}`, { name }, { cause })
    for (const source of this.sources.values()) {
      source.memory.leaveOpen(SOURCE_SUSPENDED)
      source.memory.parking.wake()
    }
    this.tell({ type: 'failed', error: error.toRecord() })
    this.onProgress?.()
  }

  private attach(facts: SourceFacts): void {
    const memory = new SourceMemory(facts.buffer, facts.layout)
    const source: AttachedSource = { id: facts.id, memory, facts, closed: false, closedIn: 0 }
    this.sources.set(facts.id, source)
    this.coordinator.sources.add(source)
    if (this.failed) memory.leaveOpen(SOURCE_SUSPENDED)
    this.mail(facts.slot, { type: 'attach', source: facts })
  }

  private onNotice(notice: ThreadNotice): void {
    if (notice.type === 'source-finished') {
      const source = this.sources.get(notice.id)
      if (source !== undefined) {
        source.closed = true
        source.closedIn = this.coordinator.formingSet
        this.tell({ type: 'source-closed', id: source.id })
        this.onProgress?.()
      }
      return
    }
    // Answered before anything is looked at: what changes afterwards rings again.
    this.board.answerDoorbell()
    this.step()
  }

  private step(): void {
    // Once it ends, nothing may set the timer again: it would keep this thread.
    if (this.ending) return
    if (this.failed) return
    try {
      this.takeCloseRequest()
      const dueInMs = this.coordinator.step(performance.now(), Date.now())
      this.forgetClosedSources()
      this.tellPressure()
      this.tellRejected()
      this.answerHolds()
      this.schedule(dueInMs)
    } catch (error) {
      this.suspend('the control thread', lossOr(error))
    }
    this.onProgress?.()
  }

  /** Named sets end one after the other, each with its own name. */
  private takeCloseRequest(): void {
    while (!this.coordinator.hasCloseAsked) {
      const next = this.closeRequests.shift()
      if (next === undefined) return
      const set = this.coordinator.closeSet(next.label)
      this.tell({ type: 'closing-set', request: next.request, set })
      if (next.label !== undefined) return
      // Those without a name that came meanwhile end with it.
      while (this.closeRequests[0] !== undefined && this.closeRequests[0].label === undefined) {
        const other = this.closeRequests.shift() as { request: number }
        this.tell({ type: 'closing-set', request: other.request, set })
      }
      return
    }
  }

  private schedule(dueInMs: number): void {
    clearTimeout(this.timer)
    if (this.closeRequests.length > 0 && !this.coordinator.hasCloseAsked && !this.stepQueued) {
      this.stepQueued = true
      setImmediate(() => {
        this.stepQueued = false
        this.step()
      })
    }
    this.timer = setTimeout(() => this.step(), Math.min(Math.max(1, Math.ceil(dueInMs)), NO_LONGER_THAN_MS))
  }

  /** A closed source counts until the sets in which it was acknowledged are formed. */
  private forgetClosedSources(): void {
    for (const source of this.sources.values()) {
      if (!source.closed || this.coordinator.formedSet < source.closedIn) continue
      this.sources.delete(source.id)
      this.coordinator.sources.delete(source)
    }
  }

  private tellPressure(): void {
    const { components } = this.options.memory.shape
    let pressure = false
    let heldBytes = 0
    for (let slot = 0; slot < components; slot++) {
      if (this.board.loadPressure(slot) === 1) pressure = true
      heldBytes += (this.board.statistics[slot] as Float64Array)[STAT_HELD_BYTES] as number
    }
    if (pressure === this.pressure) return
    this.pressure = pressure
    this.tell({ type: 'pressure', state: pressure ? 'begin' : 'end', heldBytes })
  }

  /** Block 334: an update came to a component that may not hold it. A bug of ours; its sender stops. */
  private tellRejected(): void {
    let rejected = 0
    for (const statistics of this.board.statistics) rejected += statistics[STAT_REJECTED] as number
    if (rejected === this.rejected) return
    const count = rejected - this.rejected
    this.rejected = rejected
    const error = new TidemarkError('TIDEMARK_FENCED', `${count} updates were rejected by a component`, { count })
    this.tell({ type: 'warning', error: error.toRecord() })
  }

  private answerHolds(): void {
    if (!this.coordinator.applyHeld || this.coordinator.applyingSet !== null) return
    for (const request of this.holdRequests.splice(0)) {
      this.tell({ type: 'held', request, record: this.lastApplied })
    }
  }

  private onSet(progress: SetProgress): void {
    const { set, label, consistencyTime, endedAtMs, updates, bytes } = progress
    const state = progress.state as SetRecord['state']
    const record: SetRecord = {
      set,
      label,
      state,
      consistencyTime,
      updates,
      bytes,
      writtenBytes: state === 'applied' ? progress.writtenBytes : undefined,
      afterMs: performance.now() - endedAtMs
    }
    if (state === 'applied') this.lastApplied = record
    this.tell({ type: 'set', record, positions: this.positions() })
  }

  private positions(): SetPositions {
    const { formingSet, formedSet, securedSet, applyingSet, appliedSet } = this.coordinator
    return { forming: formingSet, formed: formedSet, secured: securedSet, applying: applyingSet, applied: appliedSet }
  }

  private async end(drain: boolean): Promise<void> {
    this.coordinator.applyHeld = false
    if (drain && !this.failed && !this.abandoned) await this.drain()
    this.ending = true
    clearTimeout(this.timer)
    this.board.storeShutdown(1)
    this.coordinator.wakeAll()
    await Promise.allSettled([...this.threads, ...this.secondaryThreads].map((thread) => thread.ended))
    await Promise.all([this.components.destroy(), this.secondaries?.destroy()])
    for (const source of this.sources.values()) {
      source.memory.storeState(SOURCE_ABANDONED)
      source.memory.parking.wake()
    }
    this.directory?.close()
  }

  /** Takes what was posted, closes the last set, waits until it is applied. */
  private async drain(): Promise<void> {
    for (const source of this.sources.values()) {
      if (source.memory.loadState() === SOURCE_OPEN) source.memory.leaveOpen(SOURCE_CLOSING)
      source.memory.parking.wake()
    }
    this.coordinator.wakeComponents()
    await this.until(() => [...this.sources.values()].every((source) => source.closed))
    if (this.failed || this.abandoned) return
    const last = this.coordinator.formingSet
    this.closeRequests.push({ request: -1, label: undefined })
    this.step()
    await this.until(() => this.coordinator.appliedSet >= last)
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.failed && !this.abandoned && !condition()) return
        this.onProgress = undefined
        resolve()
      }
      this.onProgress = look
      look()
    })
  }
}

/** What is not conserved is lost, or a bug of ours: either way nothing may go on as if it were there. */
function lossOr(error: unknown): unknown {
  if (!(error instanceof ProtocolError)) return error
  return new TidemarkError('TIDEMARK_DATA_LOSS', error.message, {}, { cause: error })
}

import { EventEmitter } from 'node:events'
import { Worker } from 'node:worker_threads'
import { TidemarkError } from './errors.ts'
import { readStatus, type Suspension } from './group-status.ts'
import { GroupLatencies } from './latencies.ts'
import { Arena, largestRecordData } from './memory/arena.ts'
import { Board, PHASE_RUN } from './memory/board.ts'
import { ChunkTable } from './memory/chunk-table.ts'
import { SOURCE_CLOSED, SOURCE_SUSPENDED } from './memory/source-memory.ts'
import { OpenSources } from './open-sources.ts'
import { type CheckedOptions, checkName, checkOptions } from './options.ts'
import { listHeld } from './protocol/held-table.ts'
import { expandSet } from './protocol/set-identifier.ts'
import { allocateGroupMemory, type GroupMemory, transactionLimits } from './runtime/group-memory.ts'
import type {
  ControlNotice,
  ControlOptions,
  FailureKind,
  HostRequest,
  SetPositions,
  SetRecord
} from './runtime/messages.ts'
import { threadArguments, threadFile } from './runtime/thread-file.ts'
import { SetHistory } from './set-history.ts'
import { RingSource } from './source.ts'
import { type GroupFacts, makePort } from './source-port.ts'
import type {
  BackupGroup,
  GroupEvents,
  GroupOptions,
  GroupStatus,
  HeldUpdate,
  PrimaryFile,
  PrimarySource,
  SetReport,
  SourcePort,
  VerifyReport,
  VolumeOptions
} from './types.ts'

interface Request {
  resolve(value: SetRecord | undefined): void
  reject(error: Error): void
}

/**
 * Opens a group of backup components in this process: its memory first, then the control thread, which starts the rest.
 * @throws TidemarkError TIDEMARK_OPTIONS, TIDEMARK_LOCKED, TIDEMARK_MISMATCH, TIDEMARK_VERSION, TIDEMARK_NO_SPACE, TIDEMARK_CORRUPT
 */
export async function openGroup(options: GroupOptions): Promise<BackupGroup> {
  const checked = checkOptions(options)
  options.signal?.throwIfAborted()
  const secondaries = Math.min(checked.secondary?.components ?? 0, Math.max(1, checked.volumes.length))
  const shape = {
    components: checked.components,
    mirrors: checked.mirrors,
    volumes: checked.volumes.length,
    secondaries,
    componentMemoryBytes: checked.componentMemoryBytes
  }
  if (transactionLimits(shape).bytes === 0) {
    const message = `componentMemoryBytes is too little for ${checked.components} components with ${checked.mirrors} mirrors`
    throw new TidemarkError('TIDEMARK_OPTIONS', message, { option: 'componentMemoryBytes' })
  }
  const memory = allocateGroupMemory(shape)
  const control: ControlOptions = {
    memory,
    protocol: { mirrors: checked.mirrors, mirrorTarget: checked.mirrorTarget, ordering: checked.ordering },
    policy: checked.responsibility,
    periodMs: checked.formationPeriodMs,
    spares: checked.spares,
    directory:
      checked.secondary === undefined
        ? undefined
        : {
            directory: checked.secondary.directory,
            group: checked.name,
            volumes: checked.volumes.map(({ name, size, target, directory }) => ({ name, size, target, directory })),
            components: secondaries
          }
  }
  const worker = new Worker(threadFile('control-thread'), { workerData: control, execArgv: threadArguments() })
  const group = new ThreadedGroup(checked, memory, worker)
  try {
    await group.opened
  } catch (error) {
    await group.close({ drain: false })
    throw error
  }
  options.signal?.addEventListener('abort', () => void group.close({ drain: false }), { once: true })
  return group
}

class ThreadedGroup extends EventEmitter<GroupEvents> implements BackupGroup {
  readonly opened: Promise<void>
  private readonly options: CheckedOptions
  private readonly memory: GroupMemory
  private readonly facts: GroupFacts
  private readonly board: Board
  private readonly worker: Worker
  private readonly history: SetHistory
  private readonly latencies: GroupLatencies
  private readonly sources: OpenSources
  private readonly requests = new Map<number, Request>()
  private readonly exited: Promise<void>
  private positions: SetPositions = { forming: 0, formed: 0, secured: 0, applying: null, applied: 0 }
  private nextRequest = 0
  private holders = 0
  private views = 0
  private state: GroupStatus['state'] = 'running'
  private suspension: Suspension | undefined
  private closing: Promise<void> | undefined

  constructor(options: CheckedOptions, memory: GroupMemory, worker: Worker) {
    super()
    this.options = options
    this.memory = memory
    this.worker = worker
    this.board = new Board(memory.board, memory.boardLayout)
    this.sources = new OpenSources(this.board, options.components)
    const limits = transactionLimits(memory.shape)
    this.facts = {
      board: memory.board,
      boardLayout: memory.boardLayout,
      volumes: options.volumes.map(({ name, size }) => ({ name, size })),
      largestRecordData: largestRecordData(memory.arenaLayout),
      transactionBytes: limits.bytes,
      transactionParts: limits.parts
    }
    this.history = new SetHistory()
    this.latencies = new GroupLatencies(this.board, options.components)
    let opened: Request = { resolve: () => {}, reject: () => {} }
    this.opened = new Promise((resolve, reject) => {
      opened = { resolve: () => resolve(), reject }
    })
    this.exited = new Promise((resolve) => {
      worker.on('exit', () => {
        this.end()
        opened.reject(this.closedError())
        resolve()
      })
    })
    worker.on('message', (notice: ControlNotice) => {
      if (notice.type === 'ready') {
        this.positions = notice.positions
        opened.resolve(undefined)
      } else if (notice.type === 'failed') {
        const error = TidemarkError.fromRecord(notice.error)
        opened.reject(error)
        this.suspend(error)
      } else this.hear(notice)
    })
    worker.on('error', (cause) => {
      const error = new TidemarkError('TIDEMARK_SUSPENDED', `the control thread failed: ${cause}`, {}, { cause })
      opened.reject(error)
      this.suspend(error)
    })
  }

  openSource(name: string, options?: { component?: number; ringBytes?: number }): PrimarySource {
    this.checkOpen()
    const { facts, memory, layout } = this.sources.open(name, options)
    memory.claim()
    const source = new RingSource(name, memory.buffer, layout, {
      facts: this.facts,
      near: () => this.board.loadNear(),
      keepsAlive: false
    })
    this.post({ type: 'open-source', source: facts })
    return source
  }

  exportSource(name: string, options?: { component?: number; ringBytes?: number }): SourcePort {
    this.checkOpen()
    const { facts, memory, layout } = this.sources.open(name, options)
    this.post({ type: 'open-source', source: facts })
    return makePort({ id: facts.id, name, buffer: memory.buffer, layout, facts: this.facts })
  }

  closeSource(name: string): Promise<void> {
    return this.sources.close(name)
  }

  async openPrimaryFile(): Promise<PrimaryFile> {
    throw notYet('openPrimaryFile')
  }

  async closeSet(options: { label?: string; signal?: AbortSignal } = {}): Promise<SetReport> {
    this.checkOpen()
    if (options.label !== undefined) checkName('label', options.label)
    const set = await this.ask((request) => ({ type: 'close-set', request, label: options.label }), options.signal)
    return this.history.when((set as SetRecord).set, 'formed', options.signal)
  }

  async whenSecured(set?: number, options?: { signal?: AbortSignal }): Promise<SetReport> {
    return this.whenSet(set, 'secured', options?.signal)
  }

  async whenApplied(set?: number, options?: { signal?: AbortSignal }): Promise<SetReport> {
    return this.whenSet(set, 'applied', options?.signal)
  }

  async addComponent(): Promise<number> {
    throw notYet('addComponent')
  }

  async removeComponent(id: number): Promise<void> {
    this.checkComponent(id)
    throw notYet('removeComponent')
  }

  async holdApplied(
    options: { signal?: AbortSignal } = {}
  ): Promise<{ report: SetReport; release(): void } & Disposable> {
    this.checkOpen()
    this.holders++
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      if (--this.holders === 0 && this.closing === undefined) this.post({ type: 'release' })
    }
    try {
      const record = await this.ask((request) => ({ type: 'hold', request }), options.signal)
      const report = record === undefined ? this.beforeFirst() : this.history.report(record)
      return { report, release, [Symbol.dispose]: release }
    } catch (error) {
      release()
      throw error
    }
  }

  heldUpdates(component: number, options: { limit?: number } = {}): HeldUpdate[] {
    this.checkComponent(component)
    const { memory, board } = this
    const { limit = 1000 } = options
    const view = {
      slot: component,
      members: memory.shape.components,
      mirrors: memory.shape.mirrors,
      arena: new Arena(memory.arenas[component] as SharedArrayBuffer, memory.arenaLayout),
      chunks: new ChunkTable(memory.chunkTables[component] as SharedArrayBuffer),
      board
    }
    return listHeld(view, limit).map((held) => {
      const { name, target = name } = this.options.volumes[held.volume] as VolumeOptions
      return { ...held, volume: name, target, set: expandSet(held.set, board.loadNear()) }
    })
  }

  async verify(): Promise<VerifyReport> {
    throw notYet('verify')
  }

  status(): GroupStatus {
    const { suspension, positions, memory, board } = this
    const isChanging = this.state === 'running' && (board.loadView() & 3) !== PHASE_RUN
    const state = isChanging ? 'recovering' : this.state
    const lastApplied = this.history.lastApplied
    const volumes = this.options.volumes
    return readStatus({
      state,
      suspension,
      positions,
      memory,
      board,
      volumes,
      lastApplied,
      latencies: this.latencies,
      view: this.views + 1
    })
  }

  close(options: { drain?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    const giveUp = (): void => this.post({ type: 'close', drain: false })
    if (this.closing === undefined) this.closing = this.closeOnce(options.drain ?? true)
    else if (options.drain === false) giveUp()
    if (options.signal?.aborted === true) giveUp()
    else options.signal?.addEventListener('abort', giveUp, { once: true })
    return this.closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  ref(): this {
    this.worker.ref()
    return this
  }

  unref(): this {
    this.worker.unref()
    return this
  }

  private async closeOnce(drain: boolean): Promise<void> {
    this.post({ type: 'close', drain })
    this.worker.ref()
    await this.exited
  }

  /** The control thread has ended: whoever still waits is told. */
  private end(): void {
    this.state = 'closed'
    this.sources.abandon(SOURCE_CLOSED)
    const error = this.closedError()
    this.history.close(error)
    for (const request of this.requests.values()) request.reject(error)
    this.requests.clear()
  }

  private suspend(error: TidemarkError): void {
    if (this.state !== 'running') return
    this.state = 'suspended'
    this.suspension = { error, atMs: Date.now() }
    this.sources.abandon(SOURCE_SUSPENDED)
    this.emit('suspended', error)
  }

  private hear(notice: Exclude<ControlNotice, { type: 'ready' | 'failed' }>): void {
    switch (notice.type) {
      case 'set': {
        this.positions = notice.positions
        this.latencies.recordSet(notice.record)
        this.emit('set', this.history.add(notice.record))
        break
      }
      case 'pressure': {
        const { state, heldBytes } = notice
        const reason = 'a component has no free memory: the set is closed early, sources wait'
        this.emit('pressure', { step: 'close-early', state, reason, heldBytes, spooledBytes: 0 })
        break
      }
      case 'view':
        this.latencies.recordFailover(notice.tookMs)
        this.views = notice.view
        this.emit('warning', replacedWarning(notice.slots, notice.tookMs))
        break
      case 'warning':
        this.emit('warning', TidemarkError.fromRecord(notice.error))
        break
      case 'closing-set':
        this.answer(notice.request, { set: notice.set } as SetRecord)
        break
      case 'held':
        this.answer(notice.request, notice.record)
        break
      case 'source-closed':
        this.sources.closed(notice.id)
        break
    }
  }

  private async whenSet(
    set: number | undefined,
    state: 'secured' | 'applied',
    signal: AbortSignal | undefined
  ): Promise<SetReport> {
    if (set !== undefined && (!Number.isSafeInteger(set) || set < 0)) {
      throw new TidemarkError('TIDEMARK_OPTIONS', `set must be a set identifier, not ${String(set)}`, { option: 'set' })
    }
    const wanted = set ?? this.sources.lastSetWithUpdates()
    const done = state === 'secured' ? this.positions.secured : this.positions.applied
    if (wanted <= done) return this.history.past(wanted, state) ?? this.beforeFirst()
    this.checkOpen()
    return this.history.when(wanted, state, signal)
  }

  private beforeFirst(): SetReport {
    const { applied } = this.positions
    return { set: applied, state: 'applied', consistencyTime: 0, updates: 0, bytes: 0, writtenBytes: 0 }
  }

  private ask(make: (request: number) => HostRequest, signal: AbortSignal | undefined): Promise<SetRecord | undefined> {
    signal?.throwIfAborted()
    const request = this.nextRequest++
    return new Promise((resolve, reject) => {
      this.requests.set(request, { resolve, reject })
      signal?.addEventListener(
        'abort',
        () => {
          this.requests.delete(request)
          reject(signal.reason)
        },
        { once: true }
      )
      this.post(make(request))
    })
  }

  private answer(request: number, record: SetRecord | undefined): void {
    this.requests.get(request)?.resolve(record)
    this.requests.delete(request)
  }

  /** For our own tests: makes a component fail. */
  failComponent(slot: number, how: FailureKind): void {
    this.post({ type: 'fail', slot, how })
  }

  private post(request: HostRequest): void {
    this.worker.postMessage(request)
  }

  private checkComponent(id: number): void {
    if (Number.isSafeInteger(id) && id >= 0 && id < this.options.components) return
    throw new TidemarkError('TIDEMARK_UNKNOWN_COMPONENT', `there is no component ${String(id)}`, { component: id })
  }

  private checkOpen(): void {
    if (this.closing !== undefined || this.state === 'closed') throw this.closedError()
    if (this.suspension !== undefined) {
      const { error } = this.suspension
      throw new TidemarkError('TIDEMARK_SUSPENDED', `the group is suspended: ${error.message}`, error.details, {
        cause: error
      })
    }
  }

  private closedError(): TidemarkError {
    return new TidemarkError('TIDEMARK_CLOSED', `group '${this.options.name}' is closed`, { group: this.options.name })
  }
}

function replacedWarning(components: readonly number[], tookMs: number): TidemarkError {
  const took = tookMs.toFixed(1)
  const message = `components ${components.join(', ')} ended and were replaced: all is redundant again after ${took} ms`
  return new TidemarkError('TIDEMARK_NOT_REDUNDANT', message, { components: [...components], redundantMs: tookMs })
}

function notYet(what: string): TidemarkError {
  return new TidemarkError('TIDEMARK_OPTIONS', `${what} is not there yet in this version`, { option: what })
}

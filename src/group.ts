import { EventEmitter } from 'node:events'
import { Worker } from 'node:worker_threads'
import { TidemarkError } from './errors.ts'
import { Failing } from './failing.ts'
import { readStatus, type Suspension } from './group-status.ts'
import { heldUpdatesOf } from './held-updates.ts'
import { HostRequests } from './host-requests.ts'
import { GroupLatencies } from './latencies.ts'
import { largestRecordData } from './memory/arena.ts'
import { Board, PHASE_RUN } from './memory/board.ts'
import { SOURCE_CLOSED, SOURCE_SUSPENDED } from './memory/source-memory.ts'
import { OpenSources, slotOf } from './open-sources.ts'
import { type CheckedOptions, checkName, checkOptions } from './options.ts'
import { PressureView } from './pressure-view.ts'
import type { GroupSide } from './primary/group-side.ts'
import { PrimaryFiles } from './primary/primary-files.ts'
import { PrimarySide } from './primary-side.ts'
import { allocateGroupMemory, type GroupMemory, slotsFor, transactionLimits } from './runtime/group-memory.ts'
import type {
  ControlNotice,
  ControlOptions,
  HostRequest,
  SetPositions,
  SetRecord,
  ViewRecord
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
  PrimaryFileOptions,
  PrimarySource,
  SetReport,
  SourcePort,
  VerifyOptions,
  VerifyReport,
  ViewReport
} from './types.ts'

/**
 * Opens a group of backup components in this process: its memory first, then the control thread, which starts the rest.
 * @throws TidemarkError TIDEMARK_OPTIONS, TIDEMARK_LOCKED, TIDEMARK_MISMATCH, TIDEMARK_VERSION, TIDEMARK_NO_SPACE, TIDEMARK_CORRUPT
 */
export async function openGroup(options: GroupOptions): Promise<BackupGroup> {
  const checked = checkOptions(options)
  options.signal?.throwIfAborted()
  const secondaries = Math.min(checked.secondary?.components ?? 0, Math.max(1, checked.volumes.length))
  const wanted = {
    components: checked.components,
    mirrors: checked.mirrors,
    volumes: checked.volumes.length,
    secondaries,
    componentMemoryBytes: checked.componentMemoryBytes,
    hasSpool: checked.spool !== undefined,
    metadataOnly: checked.metadataOnly
  }
  const shape = { ...wanted, slots: slotsFor(wanted) }
  if (transactionLimits(shape).bytes === 0) {
    const message = `componentMemoryBytes is too little for ${checked.components} components with ${checked.mirrors} mirrors`
    throw new TidemarkError('TIDEMARK_OPTIONS', message, { option: 'componentMemoryBytes' })
  }
  const memory = allocateGroupMemory(shape)
  const control: ControlOptions = {
    memory,
    protocol: {
      mirrors: checked.mirrors,
      mirrorTarget: checked.mirrorTarget,
      ordering: checked.ordering,
      metadataOnly: checked.metadataOnly,
      confirm: checked.secondary?.confirm ?? 'journaled'
    },
    refetchModule: typeof checked.refetch === 'string' ? checked.refetch : undefined,
    policy: checked.responsibility,
    periodMs: checked.formationPeriodMs,
    lagTargetMs: checked.lagTargetMs,
    spares: checked.spares,
    takeover: checked.takeover,
    hangTimeoutMs: checked.hangTimeoutMs,
    spool: checked.spool,
    volumeNames: checked.volumes.map(({ name }) => name),
    directory:
      checked.secondary === undefined
        ? undefined
        : {
            directory: checked.secondary.directory,
            group: checked.name,
            volumes: checked.volumes.map(({ name, size, target, directory }) => ({ name, size, target, directory })),
            components: secondaries,
            history: checked.secondary.history
          }
  }
  const execArgv = threadArguments()
  const threadOptions = { workerData: control, ...(execArgv && { execArgv }) }
  const worker = new Worker(threadFile('control-thread'), threadOptions)
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
  private readonly pressure: PressureView
  private readonly sources: OpenSources
  private readonly requests = new HostRequests((request) => this.post(request))
  private readonly failing: Failing
  private readonly primaries: PrimaryFiles
  private readonly exited: Promise<void>
  private positions: SetPositions = { forming: 0, formed: 0, secured: 0, applying: null, applied: 0 }
  private holders = 0
  private closingHolders = 0
  private spares: readonly number[] = []
  private state: GroupStatus['state'] = 'running'
  private suspension: Suspension | undefined
  private closing: Promise<void> | undefined

  constructor(options: CheckedOptions, memory: GroupMemory, worker: Worker) {
    super()
    this.options = options
    this.memory = memory
    this.worker = worker
    this.board = new Board(memory.board, memory.boardLayout)
    this.sources = new OpenSources(this.board)
    const limits = transactionLimits(memory.shape)
    this.facts = {
      board: memory.board,
      boardLayout: memory.boardLayout,
      volumes: options.volumes.map(({ name, size }) => ({ name, size })),
      largestRecordData: largestRecordData(memory.arenaLayout),
      transactionBytes: limits.bytes,
      transactionParts: limits.parts
    }
    this.failing = new Failing(this, this.requests, this.board, (id) => {
      this.checkOpen()
      slotOf(this.board, id)
    })
    this.primaries = new PrimaryFiles(this.primarySide())
    this.history = new SetHistory()
    this.latencies = new GroupLatencies(this.board)
    this.pressure = new PressureView(this.board)
    let opened: { resolve(): void; reject(error: Error): void } = { resolve: () => {}, reject: () => {} }
    this.opened = new Promise((resolve, reject) => {
      opened = { resolve, reject }
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
        opened.resolve()
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
    return this.sources.close(name, (id) => this.post({ type: 'close-source', id }))
  }

  async openPrimaryFile(volume: string, path: string, options: PrimaryFileOptions = {}): Promise<PrimaryFile> {
    this.checkOpen()
    return this.primaries.openFile(volume, path, options)
  }

  async closeSet(options: { label?: string; signal?: AbortSignal } = {}): Promise<SetReport> {
    this.checkOpen()
    if (options.label !== undefined) checkName('label', options.label)
    return this.closeForming(options)
  }

  private async closeForming(options: { label?: string; signal?: AbortSignal }): Promise<SetReport> {
    const ask = (request: number): HostRequest => ({ type: 'close-set', request, label: options.label })
    const set = (await this.requests.ask(ask, options.signal)) as number
    return this.history.when(set, 'formed', options.signal)
  }

  async whenSecured(set?: number, options?: { signal?: AbortSignal }): Promise<SetReport> {
    return this.whenSet(set, 'secured', options?.signal)
  }

  async whenApplied(set?: number, options?: { signal?: AbortSignal }): Promise<SetReport> {
    return this.whenSet(set, 'applied', options?.signal)
  }

  async addComponent(): Promise<number> {
    this.checkOpen()
    return (await this.requests.ask((request) => ({ type: 'add', request }))) as number
  }

  async removeComponent(id: number): Promise<void> {
    this.checkOpen()
    slotOf(this.board, id)
    await this.requests.ask((request) => ({ type: 'remove', request, id }))
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
      const ask = (request: number): HostRequest => ({ type: 'hold', request })
      const record = (await this.requests.ask(ask, options.signal)) as SetRecord | undefined
      const report = record === undefined ? this.beforeFirst() : this.history.report(record)
      return { report, release, [Symbol.dispose]: release }
    } catch (error) {
      release()
      throw error
    }
  }

  heldUpdates(component: number, options: { limit?: number } = {}): HeldUpdate[] {
    const { memory, board } = this
    const slot = slotOf(board, component)
    return heldUpdatesOf(memory, board, this.options.volumes, slot, options.limit ?? 1000)
  }

  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    this.checkOpen()
    return this.primaries.verify(options)
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
      spares: this.spares,
      pressure: this.pressure
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
    this.worker.ref()
    // Nothing is held back for anybody any more: what they wait for must come.
    if (drain) this.post({ type: 'release' })
    const quiet = this.primaries.quiet()
    // What they have under way is taken; a group that is not to be drained, or that takes nothing any more, need not wait.
    if (drain) await Promise.race([quiet, this.exited])
    this.post({ type: 'close', drain })
    await this.exited
    await this.primaries.close()
  }

  /** What primary files ask of the group. */
  private primarySide(): GroupSide {
    const { options, facts } = this
    const group = this
    const side = new PrimarySide(options, facts)
    return {
      updateBytes: side.updateBytes,
      volume: (name) => side.volume(name),
      secondary: () => side.secondary(),
      get appliedSet() {
        return group.positions.applied
      },
      // What is under way when the group is closed goes on.
      checkOpen: () => this.checkRunning(),
      openSource: (name) => this.openSource(name),
      whenApplied: async (set, signal) => {
        if (set > this.positions.applied) await this.history.when(set, 'applied', signal)
      },
      closeSet: () => this.closeForming({}),
      holdClosing: () => this.holdClosing(),
      holdApplied: (signal) => this.holdApplied(signal === undefined ? {} : { signal }),
      warn: (error) => void this.emit('warning', error)
    }
  }

  /** The forming set stays open as long as anyone holds it; it is known when that is so for certain. */
  private async holdClosing(): Promise<{ set: number; release(): void }> {
    this.closingHolders++
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      if (--this.closingHolders === 0) this.post({ type: 'release-closing' })
    }
    try {
      const set = (await this.requests.ask((request) => ({ type: 'hold-closing', request }))) as number
      return { set, release }
    } catch (error) {
      release()
      throw error
    }
  }

  /** The control thread has ended: whoever still waits is told. */
  private end(): void {
    this.state = 'closed'
    this.sources.abandon(SOURCE_CLOSED)
    this.refuseWaiting(this.closedError())
  }

  private suspend(error: TidemarkError): void {
    if (this.state !== 'running') return
    this.state = 'suspended'
    this.suspension = { error, atMs: Date.now() }
    this.sources.abandon(SOURCE_SUSPENDED)
    this.refuseWaiting(error)
    this.emit('pressure', this.pressure.suspend(error.message))
    this.emit('suspended', error)
  }

  private refuseWaiting(error: TidemarkError): void {
    this.requests.close(error)
    this.history.close(error)
    this.failing.close(error)
  }

  private hear(notice: Exclude<ControlNotice, { type: 'ready' | 'failed' }>): void {
    switch (notice.type) {
      case 'set': {
        this.positions = notice.positions
        this.latencies.recordSet(notice.record)
        this.emit('set', this.history.add(notice.record))
        break
      }
      case 'pressure':
        this.pressure.hear(notice.report)
        this.emit('pressure', notice.report)
        break
      case 'no-space':
        this.pressure.hearNoSpace(notice.place, notice.error)
        break
      case 'view':
        this.hearView(notice.record)
        break
      case 'resumed':
        this.emit('resumed')
        break
      case 'fetch':
        void this.fetchAgain(notice)
        break
      case 'spares':
        this.spares = notice.ids
        break
      case 'arena':
        this.memory.arenas[notice.slot] = notice.buffer
        break
      case 'member':
        this.requests.answer(notice.request, notice.id)
        break
      case 'refused':
        this.requests.refuse(notice.request, TidemarkError.fromRecord(notice.error))
        break
      case 'warning':
        this.emit('warning', TidemarkError.fromRecord(notice.error))
        break
      case 'closing-set':
        this.requests.answer(notice.request, notice.set)
        break
      case 'held':
        this.requests.answer(notice.request, notice.record)
        break
      case 'closing-held':
        this.requests.answer(notice.request, notice.set)
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

  private hearView(record: ViewRecord): void {
    if (record.reason === 'failed' || record.reason === 'hung') this.latencies.recordFailover(record.redundantMs)
    const report: ViewReport = record
    this.emit('view', report)
    this.failing.hear(report)
  }

  /** Of metadata-only mirrors: bytes of a primary volume are needed again. */
  private async fetchAgain({ id, volume, offset, length }: Extract<ControlNotice, { type: 'fetch' }>): Promise<void> {
    const { refetch } = this.options
    try {
      if (typeof refetch !== 'function') throw new Error('there is no refetch function')
      const bytes = new Uint8Array(await refetch(volume, offset, length))
      this.post({ type: 'fetched', id, bytes, message: undefined })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.post({ type: 'fetched', id, bytes: undefined, message })
    }
  }

  private post(request: HostRequest): void {
    this.worker.postMessage(request)
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw this.closedError()
    this.checkRunning()
  }

  private checkRunning(): void {
    if (this.state === 'closed') throw this.closedError()
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

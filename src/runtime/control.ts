import { TidemarkError, type TidemarkErrorRecord } from '../errors.ts'
import { Arena } from '../memory/arena.ts'
import { Board, STAT_MOVED_BYTES, STAT_MOVED_UPDATES } from '../memory/board.ts'
import { Coordinator } from '../protocol/coordinator.ts'
import { Membership } from '../protocol/membership.ts'
import type { FinalPositions } from '../protocol/rebuild.ts'
import type { FetchRequest } from '../protocol/refetch.ts'
import type { SetProgress } from '../protocol/set-line.ts'
import { openDirectory, type SecondaryDirectory } from '../secondary/directory.ts'
import { CloseRequests } from './close-requests.ts'
import { type ComponentEnd, ThreadedComponents } from './component-host.ts'
import { ControlSources } from './control-sources.ts'
import { recordOf } from './duty-cycle.ts'
import { FailoverTimes } from './failover-times.ts'
import { Fetches } from './fetches.ts'
import { openTables } from './group-memory.ts'
import { MemberRequests } from './member-requests.ts'
import type {
  ComponentMail,
  ControlNotice,
  ControlOptions,
  HostRequest,
  SetPositions,
  SetRecord,
  ThreadNotice
} from './messages.ts'
import { SecondaryHost } from './secondary-host.ts'
import { Signs } from './signs.ts'
import { SourceWatch } from './source-watch.ts'
import { SpoolHost } from './spool-host.ts'
import { suspensionOf } from './suspension.ts'

const NO_LONGER_THAN_MS = 2 ** 31 - 1
/** A secondary that gives memory back within this time is not slow. */
const SHORT_AFTER_MS = 100

/** The control thread's work: drives the coordinator by its own clock and doorbell, answers the host, ends it all. */
export class Control {
  private readonly options: ControlOptions
  private readonly tell: (notice: ControlNotice) => void
  private readonly board: Board
  private readonly directory: SecondaryDirectory | undefined
  private readonly coordinator: Coordinator
  private readonly membership: Membership
  private readonly components: ThreadedComponents
  private readonly secondaries: SecondaryHost
  private readonly spool: SpoolHost | undefined
  private readonly sources: ControlSources
  private readonly sourceWatch: SourceWatch
  private readonly times = new FailoverTimes()
  private readonly fetches: Fetches
  private readonly signs: Signs
  private readonly closes: CloseRequests
  private readonly requests: MemberRequests
  private readonly holdRequests: number[] = []
  private lastApplied: SetRecord | undefined
  private timer: NodeJS.Timeout | undefined
  private isOpen = false
  private failed = false
  private closing = false
  private abandoned = false
  private ending = false
  /** Nothing is taken, since there are too few components. */
  private isWaiting = false
  /** Acknowledged positions of the last change of view. */
  private final: FinalPositions | undefined
  private onProgress: (() => void) | undefined

  constructor(options: ControlOptions, tell: (notice: ControlNotice) => void) {
    this.options = options
    this.tell = tell
    const { memory, protocol } = options
    const { components, slots, secondaries, volumes } = memory.shape
    this.board = new Board(memory.board, memory.boardLayout)
    this.directory = options.directory === undefined ? undefined : openDirectory(options.directory)
    this.spool = this.openSpool()
    this.coordinator = new Coordinator(
      {
        board: this.board,
        founders: components,
        mirrors: protocol.mirrors,
        tables: openTables(memory),
        policy: options.policy,
        periodMs: options.periodMs,
        lagTargetMs: options.lagTargetMs,
        secondaries,
        metadataOnly: protocol.metadataOnly,
        confirm: protocol.confirm,
        shortAfterMs: SHORT_AFTER_MS,
        spool: options.spool && { ...options.spool, eagerBytes: memory.shape.componentMemoryBytes / 4 },
        firstSet: (this.directory?.lastSet ?? 0) + 1,
        raiseCeiling: (set) => this.directory?.raiseCeiling(set),
        onNoSpace: (error) => this.tellNoSpace('ceiling', recordOf(error)),
        onSet: (progress) => this.onSet(progress),
        tellLabel: (set, label) => this.secondaries.tellLabel(set, label),
        publishFinal: (positions) => this.publish(positions),
        onReassigned: () => {
          this.times.reassigned()
          this.components.overwriteRemains()
        },
        onView: (view) => this.onView(view),
        onLag: (ageMs) => this.warnOfLag(ageMs)
      },
      performance.now()
    )
    this.closes = new CloseRequests(this.coordinator, tell, () => this.step())
    this.sources = new ControlSources(this.coordinator, tell, (slot, facts) =>
      this.components.mail(slot, { type: 'attach', source: facts })
    )
    this.sourceWatch = new SourceWatch(this.sources, (id) => {
      const source = this.sources.nameOf(id)
      const message = `source '${source}': its thread has ended; what it had posted whole is kept`
      tell({ type: 'warning', error: new TidemarkError('TIDEMARK_CLOSED', message, { source }).toRecord() })
      this.closeSource(id)
    })
    const secondaryOf = Uint8Array.from({ length: volumes }, (_, volume) => volume % Math.max(1, secondaries))
    this.components = new ThreadedComponents({
      board: this.board,
      memory,
      spares: options.spares,
      mirrors: protocol.mirrors,
      hangTimeoutMs: options.hangTimeoutMs,
      terms: { protocol, secondaryOf },
      giveMemory: (slot) => this.giveMemory(slot),
      firstSet: () => (this.coordinator.releasedSet + 1) | 0,
      onNotice: (notice) => this.onNotice(notice),
      holdsNothing: (slot) => this.coordinator.isFresh(slot),
      facts: (slot) => this.final && this.factsFor(slot, this.final),
      onSpare: () => this.step(),
      onStarted: (slot) => this.onStarted(slot),
      onEnds: (slot) => {
        this.coordinator.ends(slot)
        this.step()
      },
      onEnded: (end) => this.onEnded(end),
      onHopeless: (slot, cause) => this.suspend(`component in slot ${slot}, which could not be started,`, cause)
    })
    this.membership = new Membership({
      coordinator: this.coordinator,
      host: this.components,
      components,
      slots,
      mirrors: protocol.mirrors,
      takeover: options.takeover
    })
    this.fetches = new Fetches({
      module: options.refetchModule,
      volumeNames: options.volumeNames,
      tell,
      onFetched: (request, bytes) => this.onFetched(request, bytes),
      onHopeless: (error) => this.suspend('refetch', error)
    })
    this.requests = new MemberRequests(this.board, this.coordinator, this.membership, tell)
    this.signs = new Signs({
      board: this.board,
      membership: this.membership,
      components: this.components,
      requests: this.requests,
      coordinator: this.coordinator,
      limitBytes: options.spool?.limitBytes,
      tell
    })
    this.secondaries = new SecondaryHost({
      memory,
      directory: this.directory,
      spool: this.spool?.segments,
      secondaryOf,
      tellsReceived: protocol.confirm === 'mirrored',
      lastSet: this.coordinator.formingSet - 1,
      onNotice: (index, notice) => this.onStoreNotice(`secondary ${index}`, notice),
      onDied: () => this.step(),
      onReplaced: () => {
        this.requests.viewBegins()
        this.coordinator.secondaryReplaced()
        this.step()
      },
      onHopeless: (name, cause) => this.suspend(name, cause)
    })
    Promise.all([this.components.startFounders(components), this.secondaries.start(), this.spool?.start()]).then(
      () => this.open(),
      (error: unknown) => this.suspend('a thread that could not be started', error)
    )
  }

  /** Returns false when the group has ended. */
  async receive(request: HostRequest): Promise<boolean> {
    switch (request.type) {
      case 'open-source':
        this.sources.attach(request.source, this.failed)
        break
      case 'close-source':
        this.closeSource(request.id)
        break
      case 'close-set':
        this.closes.add(request)
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
      case 'hold-closing':
        this.coordinator.closingHeld = true
        this.tell({ type: 'closing-held', request: request.request, set: this.coordinator.formingSet })
        break
      case 'release-closing':
        this.coordinator.closingHeld = false
        this.step()
        break
      case 'add':
        this.requests.add(request.request)
        this.step()
        break
      case 'remove':
        this.requests.remove(request.request, request.id)
        this.step()
        break
      case 'fail':
        this.fail(request)
        break
      case 'fail-secondary':
        if (this.secondaries.fail(request.index)) this.requests.awaitView(request.request)
        else this.requests.refuse(request.request, this.requests.unknown(request.index))
        break
      case 'fail-spool':
        this.failSpool(request.request)
        break
      case 'fetched':
        this.fetches.answer(request.id, request.bytes, request.message)
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

  private open(): void {
    this.isOpen = true
    this.signs.show()
    this.tell({ type: 'ready', positions: this.positions() })
    const stale = this.spool?.stale
    // When whoever has opened the group listens.
    if (stale !== undefined) setImmediate(() => this.tell({ type: 'warning', error: stale.toRecord() }))
    this.step()
  }

  /** A slot in which a component is for the first time gets memory, and everybody hears of it before the view does. */
  private giveMemory(slot: number): void {
    const { arenas, arenaLayout } = this.options.memory
    if (arenas[slot] !== undefined) return
    const buffer = Arena.allocate(arenaLayout)
    arenas[slot] = buffer
    this.components.mailAll({ type: 'arena', slot, buffer })
    this.secondaries.mailAll({ type: 'arena', slot, buffer })
    this.spool?.mail({ type: 'arena', slot, buffer })
    this.tell({ type: 'arena', slot, buffer })
  }

  private onStarted(slot: number): void {
    if (this.membership.isJoining(slot)) {
      const id = this.board.loadIdentity(slot)
      this.times.began('added', id, this.requests.joins(slot) ?? performance.now())
    }
    this.membership.started(slot)
    this.step()
  }

  private onEnded(end: ComponentEnd): void {
    const { slot, id, isOrderly, isHung, diedAt, cause } = end
    const removedAt = this.requests.left(slot, id)
    if (isOrderly && !isHung && removedAt !== undefined) this.times.began('removed', id, removedAt)
    else this.times.began(isHung ? 'hung' : 'failed', id, diedAt)
    if (cause instanceof TidemarkError) this.warn(`component ${id} failed: ${cause.message}`, { component: id })
    this.membership.ended(slot)
    this.rouseAll()
    this.step()
  }

  /** Its thread may have died, in the middle of waking a component. */
  private closeSource(id: number): void {
    this.sources.close(id)
    this.rouseAll()
  }

  /** Whoever died may have left a sleeper unwoken. */
  private rouseAll(): void {
    for (const parking of this.board.parking) parking.rouse()
    this.sources.rouse()
  }

  private publish(positions: FinalPositions): void {
    this.sources.noteFinished()
    this.final = positions
    for (const slot of this.coordinator.members) this.components.mail(slot, this.factsFor(slot, positions))
  }

  private factsFor(slot: number, positions: FinalPositions): ComponentMail {
    return { type: 'view', positions, sources: this.sources.attachedTo(slot) }
  }

  private onView(view: number): void {
    this.membership.viewStands()
    this.requests.viewStands()
    // Whoever hears of the view finds it so.
    this.signs.show()
    if (!this.coordinator.isRedundant) {
      const { members } = this.coordinator
      const left = members.length === 1 ? '1 component is left' : `${members.length} components are left`
      const message = `only ${left}: nothing is taken until there are more`
      this.isWaiting = true
      this.warn(message, { components: members.map((slot) => this.board.loadIdentity(slot)) })
      return
    }
    let [updates, bytes] = [0, 0]
    for (const slot of this.coordinator.members) {
      const statistics = this.board.statistics[slot] as Float64Array
      updates += statistics[STAT_MOVED_UPDATES] as number
      bytes += statistics[STAT_MOVED_BYTES] as number
    }
    for (const record of this.times.redundant(view + 1, updates, bytes)) this.tell({ type: 'view', record })
    if (this.isWaiting) this.tell({ type: 'resumed' })
    this.isWaiting = false
    // Not now: those who go on taking need the cores first.
    setImmediate(() => this.components.refill())
  }

  private warnOfLag(ageMs: number): void {
    const { lagTargetMs } = this.options
    const lagMs = Math.round(ageMs)
    const periodMs = Math.round(this.coordinator.periodMs)
    const message = `the applied copy is ${lagMs} ms old, its target is ${lagTargetMs} ms: the secondary is too slow for what is written, or stands still`
    this.tell({
      type: 'warning',
      error: new TidemarkError('TIDEMARK_LAG', message, { lagMs, lagTargetMs, periodMs }).toRecord()
    })
  }

  private warn(message: string, details: Record<string, unknown>): void {
    this.tell({ type: 'warning', error: new TidemarkError('TIDEMARK_NOT_REDUNDANT', message, details).toRecord() })
  }

  /** For tests (chaos.ts). */
  private fail(request: Extract<HostRequest, { type: 'fail' }>): void {
    const slot = this.components.slotOf(request.id)
    if (slot === undefined) this.requests.refuse(request.request, this.requests.unknown(request.id))
    else this.components.fail(slot, request.how)
  }

  private failSpool(request: number): void {
    if (this.spool === undefined) {
      const message = 'the group has no spool: it was opened without spoolDirectory'
      this.requests.refuse(request, new TidemarkError('TIDEMARK_OPTIONS', message, { option: 'spoolDirectory' }))
    } else void this.spool.fail().then(() => this.tell({ type: 'member', request, id: 0 }))
  }

  private suspend(name: string, cause: unknown): void {
    if (this.failed || this.ending) return
    this.failed = true
    const error = suspensionOf(name, cause, this.options.volumeNames)
    this.sources.suspend()
    this.tell({ type: 'failed', error: error.toRecord() })
    this.onProgress?.()
  }

  /** If it cannot be opened nothing of the group stays behind. */
  private openSpool(): SpoolHost | undefined {
    const { spool, directory, memory } = this.options
    if (spool === undefined || directory === undefined) return undefined
    try {
      return new SpoolHost({
        memory,
        directory: spool.directory,
        group: directory.group,
        sizes: directory.volumes.map(({ size }) => size),
        lastSet: this.directory?.lastSet ?? 0,
        onNotice: (notice) => this.onStoreNotice('spool', notice),
        onReplaced: () => {
          this.rouseAll()
          this.coordinator.spoolReplaced()
          this.step()
        },
        onHopeless: (cause) => this.suspend('the spool', cause)
      })
    } catch (error) {
      this.directory?.close()
      throw error
    }
  }

  private onStoreNotice(place: string, notice: ThreadNotice): void {
    if (notice.type === 'no-space') this.tellNoSpace(place, notice.error)
    this.onNotice(notice)
  }

  private tellNoSpace(place: string, error: TidemarkErrorRecord | undefined): void {
    if (error !== undefined) this.tell({ type: 'warning', error })
    this.tell({ type: 'no-space', place, error })
  }

  private onNotice(notice: ThreadNotice): void {
    if (notice.type === 'fetch') {
      void this.fetches.fetch(notice.request)
      return
    }
    if (notice.type === 'source-finished') {
      this.sources.finished(notice.id)
      this.onProgress?.()
      return
    }
    this.step()
  }

  private step(): void {
    // Once it ends, nothing may set the timer again: it would keep this thread.
    if (this.ending || this.failed || !this.isOpen) return
    // Before anything is looked at: what changes afterwards rings again. At every step, not only when it has rung: one that
    // died between pressing the bell and ringing leaves it pressed, and nobody else would ring.
    this.board.answerDoorbell()
    try {
      this.closes.takeNext()
      const nowMs = performance.now()
      const dueInMs = this.coordinator.step(nowMs, Date.now())
      this.membership.step()
      this.requests.step()
      this.checkRoom()
      this.sources.forgetClosed()
      const showInMs = this.signs.step(nowMs)
      // Whoever is answered finds it so in the status.
      this.requests.answer()
      this.answerHolds()
      this.schedule(Math.min(dueInMs, showInMs))
    } catch (error) {
      this.suspend('the control thread', error)
    }
    this.onProgress?.()
  }

  private onFetched(request: FetchRequest, bytes: Uint8Array): void {
    // A source whose opening is still on its way to us may have written what was read.
    if (this.board.loadOpened() !== this.sources.attached) {
      setImmediate(() => this.onFetched(request, bytes))
      return
    }
    // First: what the board says of missing bytes is looked at together with it.
    this.coordinator.fetchEnded(request.set)
    this.components.mail(request.slot, { type: 'fetched', view: request.view, id: request.id, bytes })
    this.step()
  }

  private schedule(dueInMs: number): void {
    clearTimeout(this.timer)
    this.closes.queueNext()
    this.timer = setTimeout(() => this.step(), Math.min(Math.max(1, Math.ceil(dueInMs)), NO_LONGER_THAN_MS))
  }

  /** Nothing is lost, but nothing gets on either: those who are left cannot hold what all of them held. */
  private checkRoom(): void {
    if (this.coordinator.isBoundTooFar) {
      const { securedSet, formingSet } = this.coordinator
      const message = `bytes were fetched again so often that sets ${securedSet + 1} to ${formingSet} have to be secured together, and no more can be held`
      throw new TidemarkError('TIDEMARK_NOT_REDUNDANT', message, { from: securedSet + 1, to: formingSet })
    }
    if (this.coordinator.relief.isStuck) {
      const message =
        'a component has no memory for what has to be taken before sets with bytes that were fetched again can be secured'
      throw new TidemarkError('TIDEMARK_NOT_REDUNDANT', message)
    }
    const slot = this.coordinator.members.find((member) => this.board.loadNoRoom(member) === 1)
    if (slot === undefined) return
    const component = this.board.loadIdentity(slot)
    const message = `component ${component} has no memory for what it would have to take over from those that failed`
    throw new TidemarkError('TIDEMARK_NOT_REDUNDANT', message, { component })
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
    if (state === 'secured') {
      this.secondaries.secured(set)
      this.spool?.works()
    }
    this.tell({ type: 'set', record, positions: this.positions() })
  }

  private positions(): SetPositions {
    const { formingSet, formedSet, securedSet, applyingSet, appliedSet } = this.coordinator
    return { forming: formingSet, formed: formedSet, secured: securedSet, applying: applyingSet, applied: appliedSet }
  }

  private async end(drain: boolean): Promise<void> {
    this.coordinator.applyHeld = false
    this.coordinator.closingHeld = false
    if (drain && !this.failed && !this.abandoned) await this.drain()
    this.ending = true
    clearTimeout(this.timer)
    if (!this.failed) this.signs.close()
    this.sourceWatch.close()
    this.board.storeShutdown(1)
    this.coordinator.wakeAll()
    try {
      await Promise.all([this.components.close(), this.secondaries.close(), this.spool?.close(), this.fetches.close()])
    } finally {
      this.sources.abandon()
      this.directory?.close()
    }
  }

  /** Takes what was posted, closes the last set, waits until it is applied. */
  private async drain(): Promise<void> {
    this.sources.closeAll()
    this.coordinator.wakeComponents()
    await this.until(() => this.sources.areAllClosed)
    if (this.failed || this.abandoned) return
    const last = this.coordinator.formingSet
    this.closes.add({ request: -1, label: undefined })
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

import type { EventEmitter } from 'node:events'
import type { TidemarkError, TidemarkErrorCode } from './errors.ts'

/** The public types. Sizes and offsets are bytes, times milliseconds unless the name says otherwise. */

export interface GroupOptions {
  /** Names the group at a shared receiving site and in metrics. Default 'group'. */
  name?: string
  volumes: VolumeOptions[]
  /** Active backup components, 2..64. Default 3. Ids are 0..components-1 at open and are never used again. */
  components?: number
  /** Warm threads ready to take over a failed component's work (N+1). Default 1. */
  spares?: number
  /** Who takes over a failed component's volumes. Default 'spare' where one is warm, else 'survivors'. */
  takeover?: 'spare' | 'survivors'
  /** Copies of an update beside the first, 1..components-1. Default 1. */
  mirrors?: number
  /** 'default': each component has one partner; 'spread': over all others. Default 'spread'. */
  mirrorTarget?: 'default' | 'spread'
  /** 'metadata' keeps no bytes in mirrors and needs `refetch`. Default 'data'. */
  mirrorContent?: 'data' | 'metadata'
  /** Default 'volume-sequence'. */
  ordering?: 'volume-sequence' | 'group-sequence' | 'timestamp'
  /** How volumes are given to components near the end of each period. Default 'balanced' (by bytes and updates). */
  responsibility?: 'round-robin' | 'balanced'
  /** Formation period. Default 1000. With `lagTargetMs` it is the longest one. */
  formationPeriodMs?: number
  /**
   * Wanted upper bound of the age of the applied copy, 20 or more; periods become as long as holds it, `formationPeriodMs` at most. A
   * 'warning' TIDEMARK_LAG says when the age has been over it for as long as it is. Default: none.
   */
  lagTargetMs?: number
  /** Memory in which one component holds updates. Default 256 MiB (taken from the system as it is used). */
  componentMemoryBytes?: number
  /** 'discard' forms sets and drops them: for measuring the primary side alone. */
  secondary: LocalSecondary | RemoteSecondary | 'discard'
  /**
   * Where formed sets wait when the secondary is slow or gone and memory is short. Default: none, then sources are paced. One
   * open group at a time; what a group that had not ended in order left in it is removed, with a warning.
   */
  spoolDirectory?: string
  /** Bytes that the spool may take, 1 MiB or more. Default: what the disk has. */
  spoolLimitBytes?: number
  /**
   * A component without progress for this long is taken for failed and its thread is ended. Default 1000. One that the system
   * gives no core for so long looks the same: not much less on a machine that is shared.
   */
  hangTimeoutMs?: number
  /**
   * Needed with mirrorContent 'metadata': reads the primary volume's present bytes. A module URL (default export of that type) is run
   * off the host's event loop; a function is run on it.
   */
  refetch?: URL | ((volume: string, offset: number, length: number) => Promise<Uint8Array>)
  signal?: AbortSignal
}
export interface VolumeOptions {
  name: string
  size: number
  /** Name of the secondary volume. Default: the same name. */
  target?: string
  /** Local secondary: another directory (another disk) for this volume's image. */
  directory?: string
}
export interface LocalSecondary {
  directory: string
  /** Secondary backup components. Default 2. */
  components?: number
  /**
   * What lets the next set be sent: this one's journal on disk (default); or that all of it has been received, while it is still
   * in the memory of all that hold it (docs/decisions/0014). A set is secured, and its mirrors are discarded, when it is
   * journaled, either way.
   */
  confirm?: 'journaled' | 'mirrored'
  /** Applied sets kept for point-in-time restore: a count or an age. Default: none. */
  history?: { sets: number } | { ageMs: number }
}
export interface RemoteSecondary {
  url: string
  /** Bearer token, or a file that holds it. */
  token?: string
  tokenFile?: string
  tls?: { caFile?: string; certFile?: string; keyFile?: string }
  compress?: boolean
}

export interface GroupEvents {
  /** At formed, secured, applied. */
  set: [SetReport]
  view: [ViewReport]
  pressure: [PressureReport]
  suspended: [TidemarkError]
  /** Updates are taken again, after a `warning` that too few components were left for all copies. */
  resumed: []
  warning: [TidemarkError]
}

/** Never emits 'error'. Keeps the process alive while open, unless unref'd. */
export interface BackupGroup extends EventEmitter<GroupEvents>, AsyncDisposable {
  /** A source in this thread. `component` asks for the component it is attached to first. Names are unique among open sources. */
  openSource(name: string, options?: { component?: number; ringBytes?: number }): PrimarySource
  /** A source for another thread of the host: structured-cloneable, pass it in `workerData`. */
  exportSource(name: string, options?: { component?: number; ringBytes?: number }): SourcePort
  /** Closes a source from here, e.g. when the thread that it was exported to has died. What it had posted whole is kept. */
  closeSource(name: string): Promise<void>
  /** A primary volume that is a file: each write goes to the file and to the group. */
  openPrimaryFile(volume: string, path: string, options?: PrimaryFileOptions): Promise<PrimaryFile>
  /** Ends the formation period now, optionally naming the set (a restore point). Resolves when the set is formed. */
  closeSet(options?: { label?: string; signal?: AbortSignal }): Promise<SetReport>
  /** Resolves when the set (default: the one holding the last update acknowledged so far) is secured / applied. Does not end the period. */
  whenSecured(set?: number, options?: { signal?: AbortSignal }): Promise<SetReport>
  whenApplied(set?: number, options?: { signal?: AbortSignal }): Promise<SetReport>
  /**
   * Works from the next formation period on. Resolves then, with its id. Rejects with TIDEMARK_OPTIONS when the group has as
   * many as its memory serves, with TIDEMARK_UNKNOWN_COMPONENT when the one that came was removed before it worked.
   */
  addComponent(): Promise<number>
  /**
   * Leaves in order: resolves when its thread has ended. It ends the formation period early, and goes when what it holds is
   * secured, so that nothing has to be moved. Rejects with TIDEMARK_NOT_REDUNDANT if fewer than mirrors+1 would remain.
   */
  removeComponent(id: number): Promise<void>
  /** Holds back the next apply: the secondary volumes stay at one set until released, for copies by other means. */
  holdApplied(options?: { signal?: AbortSignal }): Promise<{ report: SetReport; release(): void } & Disposable>
  /** What a component holds: the text's table of updates (figure 2B). */
  heldUpdates(component: number, options?: { limit?: number }): HeldUpdate[]
  /** Compares primary files and secondary at a set boundary, while writers go on. Volumes without a primary file are left out. */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  status(): GroupStatus
  /**
   * Takes no more updates, forms, secures and applies what was acknowledged (unless drain is false), ends all threads.
   * An aborted signal ends it undrained. Also the disposer. Calls that are pending then reject with TIDEMARK_CLOSED.
   */
  close(options?: { drain?: boolean; signal?: AbortSignal }): Promise<void>
  ref(): this
  unref(): this
}

/**
 * Calls on one source take effect in call order, awaited or not, over all its volumes, zeros and transactions. In an attached thread it
 * keeps that thread alive only while a promise is pending. Bad arguments, too large, closed and suspended throw (or reject) at once.
 */
export interface PrimarySource extends AsyncDisposable {
  readonly name: string
  volume(name: string): VolumeWriter
  /** Several updates, one set, all or none. */
  transaction(updates: { volume: string; offset: number; data: ArrayBufferView }[]): Promise<Receipt[]>
  /** Resolves when every update posted so far is acknowledged; rejects if one can't be. */
  flush(): Promise<void>
  /** Only in threads that may block. */
  flushSync(): void
  close(): Promise<void>
}
declare const brand: unique symbol
export interface SourcePort {
  readonly [brand]: 'SourcePort'
}

export interface VolumeWriter {
  readonly name: string
  readonly size: number
  /** Resolves when the update is held by mirrors+1 components. `data` may be reused at once. Waits when there is no room. */
  write(offset: number, data: ArrayBufferView): Promise<Receipt>
  /** An update without bytes: the range reads as zeros. */
  zero(offset: number, length: number): Promise<Receipt>
  /** The hot path: no promise, no allocation. False when there is no room, or while earlier calls wait (nothing was taken). */
  tryPost(offset: number, data: ArrayBufferView): boolean
  /** Resolves when tryPost has room for `length` bytes (default: the largest update). */
  ready(length?: number): Promise<void>
  /** Only in threads that may block: waits for room. Throws while suspended, as tryPost does. */
  postSync(offset: number, data: ArrayBufferView): void
}

export interface PrimaryFileOptions {
  /** Ends the opening, not the synchronisation. */
  signal?: AbortSignal
  /**
   * How many regions may be in the activity log at once, 4..4096: what is read after a crash. Few of them make writers wait that are
   * all over the volume. A region has 64 KiB or more, the volume at most 4096 of them. Default: a
   * quarter of the regions, or 256 MiB where that is more, at least 64.
   */
  activityRegions?: number
}

/** Overlapping writes reach file and group in the same order. After a crash, opening it resynchronises changed regions only. */
export interface PrimaryFile extends AsyncDisposable {
  readonly volume: string
  /** Shows all overlapping writes that were called before. */
  read(offset: number, target: Uint8Array): Promise<void>
  /**
   * Resolves when the file has it (in the system's cache) and the group holds it mirrors+1 times. `data` may be reused at once. Up
   * to 1 MiB (less where the group has little memory) is one update; more goes as several, and the receipt is that of the last one.
   */
  write(offset: number, data: ArrayBufferView): Promise<Receipt>
  zero(offset: number, length: number): Promise<Receipt>
  /** Everything written before is on stable storage. */
  sync(): Promise<void>
  /** The first synchronisation or a resync. */
  readonly synchronisation: {
    state: 'running' | 'done'
    /**
     * 'none': closed in order. 'crash': the regions written to lately are compared. 'resumed': a first synchronisation goes on. All others
     * compare everything: 'first'; 'damaged': the activity log is; 'other-secondary', 'secondary-went-back', 'other-file', 'changed': one
     * of the two is not what the log was kept for.
     */
    reason:
      | 'none'
      | 'crash'
      | 'resumed'
      | 'first'
      | 'damaged'
      | 'other-secondary'
      | 'secondary-went-back'
      | 'other-file'
      | 'changed'
    /** Of the primary file, to be compared, up to `totalBytes`. What differed (`bytesSent`, without zeros) is read once more. */
    bytesRead: number
    bytesSent: number
    totalBytes: number
    /** From this set on the secondary volume is consistent with the others again; null while running. */
    set: number | null
    /** So many sets before it show a mixture: 0 when all that differed went into one set. */
    mixedSets: number
  }
  /** Resolves when the secondary has applied all that differed. */
  synchronised(options?: { signal?: AbortSignal }): Promise<void>
  /**
   * Resolves when the calls under way have ended and the secondary has applied them: the next opening has nothing to compare. A first
   * synchronisation is stopped, and goes on at the next opening.
   */
  close(): Promise<void>
}

export interface Secondary extends AsyncDisposable {
  inspect(): Promise<SecondaryReport>
  /** Consistent copies of all volumes at a kept set (number or label) or time; `to` must be new or empty. Default: the last applied set. */
  restore(to: string, options?: RestoreOptions): Promise<SetReport>
  verify(options?: { signal?: AbortSignal }): Promise<VerifyReport>
  close(): Promise<void>
}

export interface RestoreOptions {
  /** A number between two kept sets means the older one. */
  set?: number | string
  /** Milliseconds since the epoch: the newest kept set whose consistency time is not after it. */
  time?: number
  signal?: AbortSignal
  onProgress?: (progress: RestoreProgress) => void
}

export interface RestoreProgress {
  /** Images are copied; then what later sets changed is undone. */
  step: 'copy' | 'undo'
  doneBytes: number
  totalBytes: number
}

export interface Receipt {
  volume: string
  set: number
  sequence: number
  holders: number[]
}

export interface HeldUpdate {
  volume: string
  target: string
  set: number
  sequence: number
  offset: number
  length: number
  responsible: number
  mirroredTo: number[]
  mirroredFrom: number | null
}

export interface SetReport {
  set: number
  label?: string
  state: 'formed' | 'secured' | 'applied'
  /** Wall-clock instant (ms since epoch) that the set represents. Never decreases. */
  consistencyTime: number
  updates: number
  bytes: number
  /** Bytes that reached the secondary volumes after folding; known at 'applied'. */
  writtenBytes?: number
}

export interface ViewReport {
  view: number
  reason: 'failed' | 'hung' | 'removed' | 'added'
  component: number
  /** From the death of the thread (stamped by it in shared memory where it can, else its last sign of life) or the call, to each point. */
  detectedMs: number
  reassignedMs: number
  /** Every acknowledged update is held mirrors+1 times again and sources go on. */
  redundantMs: number
  movedUpdates: number
  movedBytes: number
}

/**
 * The steps taken against memory pressure or a slow secondary, each as it begins and ends (docs/pressure.md). What was
 * overwritten inside a set is never sent, so that 'fold' is not a step of its own and not reported.
 */
export interface PressureReport {
  step: 'close-early' | 'fold' | 'spool' | 'pace' | 'suspend'
  state: 'begin' | 'end'
  reason: string
  heldBytes: number
  spooledBytes: number
}

export interface VerifyOptions {
  signal?: AbortSignal
  /** Now and then: so far, of all, and how fast. */
  onProgress?: (progress: { bytes: number; totalBytes: number; bytesPerSecond: number }) => void
}

export interface VerifyReport {
  ok: boolean
  /** Of a secondary directory: the last applied set when it was verified. */
  set: number
  /** `differences`: what is not as it was written, in order; adjacent blocks are one. */
  volumes: { name: string; bytes: number; differences: { offset: number; length: number }[] }[]
  /** Of a secondary directory: bytes read of journal and commit log, and what is wrong with them. */
  journal?: { bytes: number; problems: JournalProblem[] }
  /** Of a secondary directory: bytes read of undo parts, and what is wrong with them; kept sets that need them cannot be restored. */
  history?: { bytes: number; problems: JournalProblem[] }
  /** Of a secondary directory: 'missing' means that the volumes were not compared (`ok` is false), since it has none yet. */
  checksums?: 'compared' | 'missing'
  /** A set that a crash left half applied: blocks that it touches were not judged. Opening the directory finishes it. */
  unfinishedSet?: number
  /** Of a secondary directory: whether another one may have been writing to it meanwhile. */
  hasWriter?: boolean
}

export interface JournalProblem {
  path: string
  /** Bytes from the beginning of the file. */
  position?: number
  set?: number
  component?: number
  reason: string
}

export interface VerifyProgress {
  bytes: number
  totalBytes: number
  bytesPerSecond: number
}

export interface SecondaryReport {
  /** Name of the group whose volumes these are. */
  group: string
  clean: boolean
  appliedSet: number
  /** The set that is being written to the images right now; published before the first byte is touched. */
  applying: number | null
  securedSet: number
  consistencyTime: number | null
  volumes: { name: string; size: number; path: string }[]
  history: { set: number; label?: string; consistencyTime: number }[]
}

export interface GroupStatus {
  state: 'running' | 'recovering' | 'suspended' | 'closed'
  suspension?: { code: TidemarkErrorCode; sinceMs: number; volumes: string[]; sets: number[] }
  view: number
  sets: { forming: number; formed: number; secured: number; applying: number | null; applied: number }
  /** Age in ms of the applied copy: now minus the consistency time of the last applied set; null before the first. */
  lagMs: number | null
  /** What is done about memory pressure, a slow secondary, or a full disk. */
  pressure: {
    /** The furthest step that is under way; null when none is. */
    step: PressureReport['step'] | null
    /** Why, as its event said. */
    reason: string | null
    /** Bytes that all components hold, copies included; bytes in the spool. */
    heldBytes: number
    spooledBytes: number
    /** Files for which there is no room on their disk: they are tried again until there is. */
    noSpace: string[]
  }
  components: {
    id: number
    state: 'active' | 'joining' | 'leaving' | 'spare' | 'failed'
    volumes: string[]
    heldUpdates: number
    heldBytes: number
    takenUpdates: number
  }[]
  volumes: { name: string; size: number; responsible: number; sequence: number }[]
  /** Latencies as percentiles in microseconds, from HDR histograms. */
  latency: Record<
    'acknowledge' | 'form' | 'secure' | 'apply' | 'failover',
    { count: number; p50: number; p90: number; p99: number; max: number }
  >
}

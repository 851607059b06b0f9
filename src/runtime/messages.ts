import type { MessagePort } from 'node:worker_threads'
import type { TidemarkErrorRecord } from '../errors.ts'
import type { SourceLayout } from '../memory/source-memory.ts'
import type { FetchRequest } from '../protocol/refetch.ts'
import type { ResponsibilityPolicy } from '../protocol/responsibility.ts'
import type { Confirm, MirrorTarget, Ordering } from '../protocol/setting.ts'
import type { DirectoryOptions } from '../secondary/directory.ts'
import type { FileSetStoreOptions } from '../secondary/file-store.ts'
import type { FileSpoolOptions } from '../secondary/spool-store.ts'
import type { ComponentMemory, GroupMemory } from './group-memory.ts'

/** Records that threads post to each other; everything that happens per update goes through shared memory instead. */

export interface ProtocolOptions {
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  readonly ordering: Ordering
  readonly metadataOnly: boolean
  readonly confirm: Confirm
}

export interface ControlOptions {
  readonly memory: GroupMemory
  readonly protocol: ProtocolOptions
  readonly policy: ResponsibilityPolicy
  readonly periodMs: number
  readonly lagTargetMs: number | undefined
  readonly spares: number
  readonly takeover: 'spare' | 'survivors'
  readonly hangTimeoutMs: number
  /** Where formed sets wait when memory is short. */
  readonly spool: { readonly directory: string; readonly limitBytes: number } | undefined
  /** For messages. */
  readonly volumeNames: readonly string[]
  /** Href of the module that reads bytes of primary volumes again; undefined: the host is asked. */
  readonly refetchModule: string | undefined
  /** Undefined: sets are formed and dropped. */
  readonly directory: DirectoryOptions | undefined
}

export interface SourceFacts {
  readonly id: number
  readonly buffer: SharedArrayBuffer
  readonly layout: SourceLayout
  readonly name: string
}

/** What the host asks of the control thread. */
export type HostRequest =
  | { readonly type: 'open-source'; readonly source: SourceFacts }
  | { readonly type: 'close-set'; readonly request: number; readonly label: string | undefined }
  | { readonly type: 'hold'; readonly request: number }
  | { readonly type: 'release' }
  | { readonly type: 'hold-closing'; readonly request: number }
  | { readonly type: 'release-closing' }
  | { readonly type: 'close-source'; readonly id: number }
  | { readonly type: 'add'; readonly request: number }
  | { readonly type: 'remove'; readonly request: number; readonly id: number }
  | { readonly type: 'fail'; readonly request: number; readonly id: number; readonly how: FailureKind }
  | { readonly type: 'fail-secondary'; readonly request: number; readonly index: number }
  | { readonly type: 'fail-spool'; readonly request: number }
  /** What the host's function has read again, or why it could not. */
  | {
      readonly type: 'fetched'
      readonly id: number
      readonly bytes: Uint8Array | undefined
      readonly message: string | undefined
    }
  | { readonly type: 'close'; readonly drain: boolean }

export interface SetRecord {
  readonly set: number
  readonly label: string | undefined
  readonly state: 'formed' | 'secured' | 'applied'
  readonly consistencyTime: number
  readonly updates: number
  readonly bytes: number
  readonly writtenBytes: number | undefined
  /** Milliseconds from the end of the period to this state. */
  readonly afterMs: number
}

/** What became of one component in a change of view, and how long it took (milliseconds from its death, or the call). */
export interface ViewRecord {
  readonly view: number
  readonly reason: 'failed' | 'hung' | 'removed' | 'added'
  readonly component: number
  readonly detectedMs: number
  readonly reassignedMs: number
  readonly redundantMs: number
  readonly movedUpdates: number
  readonly movedBytes: number
}

export interface PressureRecord {
  readonly step: PressureStep
  readonly state: 'begin' | 'end'
  readonly reason: string
  readonly heldBytes: number
  readonly spooledBytes: number
}

/** In the order in which they are taken. */
export const PRESSURE_STEPS = ['close-early', 'fold', 'spool', 'pace', 'suspend'] as const
export type PressureStep = (typeof PRESSURE_STEPS)[number]

export interface SetPositions {
  readonly forming: number
  readonly formed: number
  readonly secured: number
  readonly applying: number | null
  readonly applied: number
}

/** What the control thread tells the host. */
export type ControlNotice =
  | { readonly type: 'ready'; readonly positions: SetPositions }
  | { readonly type: 'set'; readonly record: SetRecord; readonly positions: SetPositions }
  | { readonly type: 'applying'; readonly positions: SetPositions }
  | { readonly type: 'pressure'; readonly report: PressureRecord }
  /** A thread waits for room on its disk; undefined: it goes on. */
  | { readonly type: 'no-space'; readonly place: string; readonly error: TidemarkErrorRecord | undefined }
  | { readonly type: 'warning'; readonly error: TidemarkErrorRecord }
  | { readonly type: 'closing-set'; readonly request: number; readonly set: number }
  | { readonly type: 'held'; readonly request: number; readonly record: SetRecord | undefined }
  /** The forming set, which stays open. */
  | { readonly type: 'closing-held'; readonly request: number; readonly set: number }
  | { readonly type: 'source-closed'; readonly id: number }
  | { readonly type: 'view'; readonly record: ViewRecord }
  /** After a warning that too few components are left: there are enough again. */
  | { readonly type: 'resumed' }
  /** A request about members was carried out, or was refused. */
  | { readonly type: 'member'; readonly request: number; readonly id: number }
  | { readonly type: 'refused'; readonly request: number; readonly error: TidemarkErrorRecord }
  | { readonly type: 'arena'; readonly slot: number; readonly buffer: SharedArrayBuffer }
  | {
      readonly type: 'fetch'
      readonly id: number
      readonly volume: string
      readonly offset: number
      readonly length: number
    }
  | { readonly type: 'spares'; readonly ids: readonly number[] }
  | { readonly type: 'failed'; readonly error: TidemarkErrorRecord }

export interface ComponentTask {
  readonly slot: number
  readonly memory: ComponentMemory
  readonly protocol: ProtocolOptions
  readonly secondaryOf: Uint8Array
  /** Low bits; undefined for one that comes later and waits for a view that has it. */
  readonly firstSet: number | undefined
  /** For tests: what a failed component left in the slot is overwritten when everybody has stopped. */
  readonly overwrites: boolean
  readonly port: MessagePort
}

/** What a spare is started with. */
export interface SpareTask extends Pick<ComponentTask, 'protocol' | 'secondaryOf' | 'port'> {
  readonly memory: Pick<GroupMemory, 'board' | 'boardLayout'>
  /** A `Parking`: it sleeps there until it is needed. */
  readonly bed: SharedArrayBuffer
}

/** What makes a component of a spare. */
export type Appointment = Pick<ComponentTask, 'slot' | 'memory' | 'overwrites'>

/** What the control thread puts into a component's mailbox. */
export type ComponentMail =
  | { readonly type: 'attach'; readonly source: SourceFacts }
  /** Before everyone rebuilds: acknowledged positions by source, and the sources of this component. */
  | {
      readonly type: 'view'
      readonly positions: ReadonlyMap<number, number>
      readonly sources: readonly SourceFacts[]
    }
  /** The memory of a component that is in a slot for the first time. */
  | { readonly type: 'arena'; readonly slot: number; readonly buffer: SharedArrayBuffer }
  | { readonly type: 'leave' }
  /** What it has asked to be fetched. */
  | { readonly type: 'fetched'; readonly view: number; readonly id: number; readonly bytes: Uint8Array }
  /** For tests: the thread ends in that way. */
  | { readonly type: 'fail'; readonly how: FailureKind }

/** What the control thread posts to a secondary component. */
export type SecondaryMail =
  | Extract<ComponentMail, { type: 'arena' }>
  /** Only to the first one: the name of a set that is about to be committed. */
  | { readonly type: 'label'; readonly set: number; readonly label: string }

export type FailureKind = 'terminate' | 'exit' | 'throw' | 'hang'

/** What a component thread posts: it is a warm spare; it runs; something on the board has changed; a source that it had is closed. */
export type ThreadNotice =
  | { readonly type: 'warm' }
  | { readonly type: 'running'; readonly threadId: number }
  | { readonly type: 'ring' }
  | { readonly type: 'fetch'; readonly request: FetchRequest }
  | { readonly type: 'source-finished'; readonly id: number }
  /** Its disk has no room, and it tries again; undefined: it goes on. */
  | { readonly type: 'no-space'; readonly error: TidemarkErrorRecord | undefined }

/** What a component thread's task ends with: the error that ended it, or nothing after an orderly end. */
export type ThreadOutcome = TidemarkErrorRecord | undefined

/** One range of a primary volume that is read again. */
export interface FetchTask {
  readonly module: string
  readonly volume: string
  readonly offset: number
  readonly length: number
}

export interface SecondaryTask {
  readonly index: number
  readonly memory: GroupMemory
  readonly store: FileSetStoreOptions
  readonly lastSet: number
  /** It takes the place of a component that has died, and goes on with its files. */
  readonly resume?: boolean
  /** Names of sets that are not secured, as its predecessor was told them. */
  readonly labels: ReadonlyMap<number, string>
  /** It also tells when it has received a set. */
  readonly tellsReceived: boolean
  readonly port: MessagePort
}

export interface SpoolTask {
  readonly memory: GroupMemory
  readonly store: FileSpoolOptions
  readonly lastSet: number
  readonly resume?: boolean
  readonly port: MessagePort
}

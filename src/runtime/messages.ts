import type { MessagePort } from 'node:worker_threads'
import type { TidemarkErrorRecord } from '../errors.ts'
import type { SourceLayout } from '../memory/source-memory.ts'
import type { ResponsibilityPolicy } from '../protocol/responsibility.ts'
import type { MirrorTarget, Ordering } from '../protocol/setting.ts'
import type { DirectoryOptions } from '../secondary/directory.ts'
import type { FileSetStoreOptions } from '../secondary/file-store.ts'
import type { GroupMemory } from './group-memory.ts'

/** Records that threads post to each other; everything that happens per update goes through shared memory instead. */

export interface ProtocolOptions {
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  readonly ordering: Ordering
}

export interface ControlOptions {
  readonly memory: GroupMemory
  readonly protocol: ProtocolOptions
  readonly policy: ResponsibilityPolicy
  readonly periodMs: number
  readonly spares: number
  /** Undefined: sets are formed and dropped. */
  readonly directory: DirectoryOptions | undefined
}

export interface SourceFacts {
  readonly id: number
  readonly buffer: SharedArrayBuffer
  readonly layout: SourceLayout
  readonly slot: number
}

/** What the host asks of the control thread. */
export type HostRequest =
  | { readonly type: 'open-source'; readonly source: SourceFacts }
  | { readonly type: 'close-set'; readonly request: number; readonly label: string | undefined }
  | { readonly type: 'hold'; readonly request: number }
  | { readonly type: 'release' }
  | { readonly type: 'fail'; readonly slot: number; readonly how: FailureKind }
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
  | { readonly type: 'pressure'; readonly state: 'begin' | 'end'; readonly heldBytes: number }
  | { readonly type: 'warning'; readonly error: TidemarkErrorRecord }
  | { readonly type: 'closing-set'; readonly request: number; readonly set: number }
  | { readonly type: 'held'; readonly request: number; readonly record: SetRecord | undefined }
  | { readonly type: 'source-closed'; readonly id: number }
  | { readonly type: 'view'; readonly view: number; readonly slots: readonly number[]; readonly tookMs: number }
  | { readonly type: 'failed'; readonly error: TidemarkErrorRecord }

export interface ComponentTask {
  readonly slot: number
  readonly memory: GroupMemory
  readonly protocol: ProtocolOptions
  readonly secondaryOf: Uint8Array
  /** Low bits. */
  readonly firstSet: number
  /** It takes the place of a component that has died. */
  readonly fresh: boolean
  /** The sources that were attached there. */
  readonly sources: readonly SourceFacts[]
  readonly port: MessagePort
}

/** What the control thread puts into a component's mailbox. */
export type ComponentMail =
  | { readonly type: 'attach'; readonly source: SourceFacts }
  /** Acknowledged positions by source, before everyone rebuilds. */
  | { readonly type: 'final'; readonly positions: ReadonlyMap<number, number> }
  /** For tests: the thread ends in that way. */
  | { readonly type: 'fail'; readonly how: FailureKind }

export type FailureKind = 'terminate' | 'exit' | 'throw'

/** What a component thread posts: it runs; something on the board has changed; a source that it had is closed. */
export type ThreadNotice =
  | { readonly type: 'running'; readonly threadId: number }
  | { readonly type: 'ring' }
  | { readonly type: 'source-finished'; readonly id: number }

/** What a component thread's task ends with: the error that ended it, or nothing after an orderly end. */
export type ThreadOutcome = TidemarkErrorRecord | undefined

export interface SecondaryTask {
  readonly index: number
  readonly memory: GroupMemory
  readonly store: FileSetStoreOptions
  readonly lastSet: number
  readonly port: MessagePort
}

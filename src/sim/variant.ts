import type { ComponentParts } from '../protocol/component.ts'
import type { Merging } from '../protocol/merging.ts'
import type { PartsReceiver } from '../protocol/parts-receiver.ts'
import type { SetLine } from '../protocol/set-line.ts'
import type { Spool } from '../protocol/spool.ts'
import type { ViewChanges } from '../protocol/view-changes.ts'
import type { ViewMember } from '../protocol/view-member.ts'
import type { MemoryStore } from './memory-store.ts'

/** A deliberately broken system. The simulator must catch each of them, or it proves nothing. */
export interface Variant {
  readonly name: string
  readonly breaks: string
  readonly parts?: Partial<ComponentParts>
  readonly store?: typeof MemoryStore
  readonly views?: typeof ViewChanges
  readonly merging?: typeof Merging
  readonly line?: typeof SetLine
  readonly spools?: typeof Spool
  readonly member?: typeof ViewMember
  readonly partsReceiver?: typeof PartsReceiver
  /** A component that is taken for failed goes on. */
  readonly unfenced?: boolean
}

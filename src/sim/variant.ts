import type { ComponentParts } from '../protocol/component.ts'
import type { Merging } from '../protocol/merging.ts'
import type { SetReceiver } from '../protocol/set-receiver.ts'
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
  readonly member?: typeof ViewMember
  readonly receiver?: typeof SetReceiver
  /** A component that is taken for failed goes on. */
  readonly unfenced?: boolean
}

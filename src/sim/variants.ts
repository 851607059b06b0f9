import type { ComponentParts } from '../protocol/component.ts'
import { HeldUpdates } from '../protocol/held.ts'
import { OutLink } from '../protocol/out-link.ts'
import { Places } from '../protocol/places.ts'
import type { SourceIntake } from '../protocol/source-intake.ts'
import { Taker } from '../protocol/take.ts'
import { MemoryStore, type StoredUpdate } from './memory-store.ts'

/** A deliberately broken system. The simulator must catch each of them, or it proves nothing. */
export interface Variant {
  readonly name: string
  readonly breaks: string
  readonly parts?: Partial<ComponentParts>
  readonly store?: typeof MemoryStore
}

class SetBeforePosition extends Taker {
  protected override loadBatch(intake: SourceIntake): void {
    const set = this.loadForming()
    this.tagWith(this.loadPublished(intake), set)
  }
}

class AcknowledgedEarly extends OutLink {
  protected override loadNoted(): number {
    return this.sent
  }
  protected override loadHeld(): number {
    return this.sent
  }
}

class OutOfSequence extends MemoryStore {
  protected override inOrder(updates: readonly StoredUpdate[]): StoredUpdate[] {
    return super.inOrder(updates).reverse()
  }
}

class CreditsWithoutPlace extends Places {
  private next = 0

  protected override allocate(): number {
    const chunk = super.allocate()
    return chunk >= 0 ? chunk : this.next++ % this.chunks
  }
}

class CountedTwice extends HeldUpdates {
  private notes = 0

  override note(...update: Parameters<HeldUpdates['note']>): void {
    super.note(...update)
    if (++this.notes % 50 === 0) super.note(...update)
  }
}

export const VARIANTS: readonly Variant[] = [
  {
    name: 'set-before-position',
    breaks: 'the set identifier is loaded before the published position',
    parts: { taker: SetBeforePosition }
  },
  {
    name: 'acknowledged-early',
    breaks: 'an update is acknowledged before the second copy is held',
    parts: { outLink: AcknowledgedEarly }
  },
  { name: 'out-of-sequence', breaks: 'updates are applied out of sequence', store: OutOfSequence },
  {
    name: 'credits-without-place',
    breaks: 'credits are granted against no place',
    parts: { places: CreditsWithoutPlace }
  },
  { name: 'counted-twice', breaks: 'one update is counted twice', parts: { held: CountedTwice } }
]

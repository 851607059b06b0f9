import type { ComponentParts } from '../protocol/component.ts'
import { HeldUpdates } from '../protocol/held.ts'
import { OutLink } from '../protocol/out-link.ts'
import { Places } from '../protocol/places.ts'
import { cutBack } from '../protocol/rebuild.ts'
import { Restore } from '../protocol/restore.ts'
import { SourceIntake } from '../protocol/source-intake.ts'
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

class RestoreLeftOut extends Restore {
  protected override findMissing(address: number): void {
    if ((address >>> 3) % 29 !== 0) super.findMissing(address)
  }
}

class DiscardedEarly extends Places {
  override discard(secured: number): void {
    super.discard((secured + 1) | 0)
  }
}

const NOT_CUT_BACK: typeof cutBack = (setting, held, secured) => cutBack(setting, held, secured, new Map())

const NOT_REWOUND: typeof SourceIntake.resume = (id, memory, mirrors, _acknowledged, forming) =>
  SourceIntake.resume(id, memory, mirrors, memory.loadPublished(), forming)

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
  { name: 'counted-twice', breaks: 'one update is counted twice', parts: { held: CountedTwice } },
  {
    name: 'discarded-early',
    breaks: 'copies are discarded before their set is secured',
    parts: { places: DiscardedEarly }
  },
  { name: 'not-cut-back', breaks: 'nothing is cut back when a view changes', parts: { cutBack: NOT_CUT_BACK } },
  {
    name: 'not-rewound',
    breaks: 'sources are not taken again from their acknowledged positions when a view changes',
    parts: { resume: NOT_REWOUND }
  },
  {
    name: 'restore-left-out',
    breaks: 'a few copies are not restored after a death',
    parts: { restore: RestoreLeftOut }
  }
]

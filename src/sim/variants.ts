import type { Arena } from '../memory/arena.ts'
import { HeldSet, HeldUpdates } from '../protocol/held.ts'
import { OutLink } from '../protocol/out-link.ts'
import { Overwritten } from '../protocol/overwritten.ts'
import { PartsReceiver } from '../protocol/parts-receiver.ts'
import { Places } from '../protocol/places.ts'
import type { SourceIntake } from '../protocol/source-intake.ts'
import { Taker } from '../protocol/take.ts'
import { Transfer } from '../protocol/transfer.ts'
import { FETCH_VARIANTS } from './fetch-variants.ts'
import { MemoryStore, type StoredUpdate } from './memory-store.ts'
import { OVERLAP_VARIANTS } from './overlap-variants.ts'
import { SPOOL_VARIANTS } from './spool-variants.ts'
import type { Variant } from './variant.ts'
import { VIEW_VARIANTS } from './view-variants.ts'

// The way of an update and of a set, broken; changes of view are in view-variants.ts.

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

class SetCountedTwice extends HeldSet {
  private notes = 0

  override note(...update: Parameters<HeldSet['note']>): number {
    if (++this.notes % 50 === 0) super.note(...update)
    return super.note(...update)
  }
}

class CountedTwice extends HeldUpdates {
  protected override makeSet(...of: ConstructorParameters<typeof HeldSet>): HeldSet {
    return new SetCountedTwice(...of)
  }
}

class DiscardedEarly extends Places {
  override discard(secured: number): void {
    super.discard((secured + 1) | 0)
  }
}

class AnyLengthCovers extends Overwritten {
  protected override isLongEnough(): boolean {
    return true
  }
}

class LeftOutWrongly extends Transfer {
  protected override makeOverwritten(arena: Arena, held: HeldUpdates): Overwritten {
    return new AnyLengthCovers(arena, held)
  }
}

/** Takes every part that it is sent for one that it does not have yet, also when only its confirm was lost. */
class PartTakenTwice extends PartsReceiver {
  protected override isJournaled(): boolean {
    return false
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
  { name: 'counted-twice', breaks: 'one update is counted twice', parts: { held: CountedTwice } },
  {
    name: 'discarded-early',
    breaks: 'copies are discarded before their set is secured',
    parts: { places: DiscardedEarly }
  },
  {
    name: 'left-out-wrongly',
    breaks: 'an update is not sent though a later one covers it in part only',
    parts: { transfer: LeftOutWrongly }
  },
  {
    name: 'part-applied-twice',
    breaks: 'a part that is sent again after its confirm was lost is taken as new',
    partsReceiver: PartTakenTwice
  },
  ...VIEW_VARIANTS,
  ...FETCH_VARIANTS,
  ...SPOOL_VARIANTS,
  ...OVERLAP_VARIANTS
]

import { PartsReceiver } from '../protocol/parts-receiver.ts'
import { SetLine, type SetProgress } from '../protocol/set-line.ts'
import { Spool } from '../protocol/spool.ts'
import type { Variant } from './variant.ts'

// The way of a set over the spool, broken.

/** Takes a set for kept as soon as it was asked for. */
class KeptTooEarly extends Spool {
  override arrived(): boolean {
    if (super.arrived()) return true
    if (this.sending === undefined) return false
    this.forgetSending()
    return true
  }
}

/** A later set, which components hold, is sent though an earlier one is still being taken from the spool. */
class SpoolOvertaken extends SetLine {
  protected override mustPrecede(earlier: SetProgress, later: SetProgress): boolean {
    return super.mustPrecede(earlier, later) && !earlier.kept
  }
}

/** The set goes on being sent to the secondary out of memory that the spool has made free. */
class TransferNotGivenUp extends SetLine {
  protected override giveUpTransfer(): void {}
}

/** Who receives does not look at the epoch after the last byte was read. */
class EpochNotLookedAt extends PartsReceiver {
  protected override isStillOf(): boolean {
    return true
  }
}

export const SPOOL_VARIANTS: readonly Variant[] = [
  {
    name: 'kept-too-early',
    breaks: 'memory is given back before the spool has the set durably',
    spools: KeptTooEarly
  },
  {
    name: 'spool-overtaken',
    breaks: 'a later set is sent while an earlier one is taken from the spool',
    line: SpoolOvertaken
  },
  {
    name: 'transfer-not-given-up',
    breaks: 'a set that the spool keeps is also sent on out of memory that is used again',
    line: TransferNotGivenUp
  },
  {
    name: 'epoch-not-looked-at',
    breaks: 'a set is made durable though its memory may have changed hands while it was read',
    partsReceiver: EpochNotLookedAt
  }
]

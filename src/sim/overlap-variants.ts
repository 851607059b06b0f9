import { SetLine } from '../protocol/set-line.ts'
import { Transfer } from '../protocol/transfer.ts'
import type { Variant } from './variant.ts'

// Two sets on their way to the secondary at once, broken.

/** Who begins again sends only the later one. */
class EarlierNotSentAgain extends Transfer {
  protected override isAhead(): boolean {
    return false
  }
}

/** When the earlier one comes from the spool, the later one is not sent again. */
class LaterNotSentAgain extends SetLine {
  protected override sendLater(): void {
    const first = this.sets.find(({ state }) => state === 'transferring')
    if (first !== undefined) first.state = 'formed'
  }
}

/** The later one is sent before the earlier one has been received everywhere. */
class ReceivedNotAwaited extends SetLine {
  protected override isReceived(): boolean {
    return true
  }
}

export const OVERLAP_VARIANTS: readonly Variant[] = [
  {
    name: 'earlier-not-sent-again',
    breaks: 'of two sets that were on their way only the later one is sent again after a change of view',
    parts: { transfer: EarlierNotSentAgain }
  },
  {
    name: 'later-not-sent-again',
    breaks: 'a set that was on its way behind one that the spool keeps is not sent again',
    line: LaterNotSentAgain
  },
  {
    name: 'received-not-awaited',
    breaks: 'a set is sent before the one before has been received everywhere',
    line: ReceivedNotAwaited
  }
]

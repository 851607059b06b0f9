import type { Receipt } from '../src/index.ts'
import type { Gauges } from './gauges.ts'
import { Violation } from './violation.ts'

/** A call under way: what was known when it was issued, and its receipts once they have come. */
export interface Issue {
  /** The highest set acknowledged by then: the call's own may not be lower, whoever took either. */
  readonly lowestSet: number
  readonly goneTick: number
  readonly atMs: number
  receipts: readonly Receipt[] | undefined
}

/** What one source's receipts must keep to, in the order of its calls. */
export class ReceiptCheck {
  longestWaitMs = 0
  private readonly source: string
  private readonly mirrors: number
  private readonly gauges: Gauges
  /** Calls in their order. Promises that are resolved together may be heard of in another one. */
  private readonly calls: Issue[] = []
  private readonly last = new Map<string, Receipt>()
  private lastSet = 0

  constructor(source: string, mirrors: number, gauges: Gauges) {
    this.source = source
    this.mirrors = mirrors
    this.gauges = gauges
  }

  /** To be called before the source's call, each time. */
  issue(): Issue {
    const { highestSet, goneTick } = this.gauges
    const issue: Issue = { lowestSet: highestSet, goneTick, atMs: performance.now(), receipts: undefined }
    this.calls.push(issue)
    return issue
  }

  /** @param volumes  names, in the order of the call's updates */
  acknowledged(issue: Issue, receipts: readonly Receipt[], volumes: readonly string[]): void {
    this.longestWaitMs = Math.max(this.longestWaitMs, performance.now() - issue.atMs)
    for (const [n, volume] of volumes.entries()) this.checkReceipt(issue, receipts[n], volume)
    const sets = new Set(receipts.map(({ set }) => set))
    if (sets.size > 1 || receipts.length !== volumes.length) {
      throw new Violation(`a call of source '${this.source}' is not in one set as a whole: ${JSON.stringify(receipts)}`)
    }
    issue.receipts = receipts
    while (this.calls[0]?.receipts !== undefined) this.checkOrder(this.calls.shift()?.receipts ?? [])
    for (const set of sets) this.gauges.raiseHighestSet(set)
  }

  private checkReceipt(issue: Issue, receipt: Receipt | undefined, volume: string): void {
    if (receipt === undefined) throw new Violation(`source '${this.source}' got no receipt for an update of ${volume}`)
    const { set, sequence, holders } = receipt
    if (receipt.volume !== volume) this.wrong(receipt, `is for another volume than ${volume}`)
    if (!Number.isSafeInteger(set) || set < 1) this.wrong(receipt, 'has an impossible set')
    if (!Number.isFinite(sequence)) this.wrong(receipt, 'has an impossible sequence')
    if (set < issue.lowestSet) {
      const said = `of which an update was acknowledged before it was issued`
      this.wrong(receipt, `is for a set before ${issue.lowestSet}, ${said}`)
    }
    if (holders.length !== this.mirrors + 1 || new Set(holders).size !== holders.length) {
      this.wrong(receipt, `does not name ${this.mirrors + 1} different holders`)
    }
    for (const id of holders) {
      if (this.gauges.wasGone(id, issue.goneTick)) this.wrong(receipt, `names component ${id}, which had gone before`)
    }
  }

  private checkOrder(receipts: readonly Receipt[]): void {
    for (const receipt of receipts) {
      const { volume, set, sequence } = receipt
      if (set < this.lastSet) this.wrong(receipt, `is for a set before ${this.lastSet}, that of an earlier update`)
      this.lastSet = set
      const before = this.last.get(volume)
      if (before !== undefined && before.set === set && before.sequence >= sequence) {
        this.wrong(receipt, `does not come after the source's update before it, ${before.set}/${before.sequence}`)
      }
      this.last.set(volume, receipt)
    }
  }

  private wrong(receipt: Receipt, what: string): never {
    throw new Violation(`a receipt of source '${this.source}' ${what}: ${JSON.stringify(receipt)}`)
  }
}

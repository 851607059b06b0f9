import { SET_WINDOW } from '../memory/source-memory.ts'

/**
 * Updates for which this component is responsible and of which it holds the metadata only: their bytes died with the
 * component that was responsible before (R8; [0058]). Byte addresses by set, in the order in which they were found.
 */
export class MissingBytes {
  /** Asked for, or about to be; by set. */
  private readonly waiting = new Map<number, number[]>()
  private readonly underWay = new Map<number, { readonly set: number; readonly address: number }>()
  private next = 0

  add(set: number, address: number): void {
    const list = this.waiting.get(set)
    if (list === undefined) this.waiting.set(set, [address])
    else list.push(address)
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0 && this.underWay.size === 0
  }
  get underWayCount(): number {
    return this.underWay.size
  }

  /** The earliest set (low bits) that lacks bytes, looked for from this one on; undefined where none does. */
  oldest(from: number): number | undefined {
    for (let n = 0; n < SET_WINDOW; n++) if (this.lacks((from + n) | 0)) return (from + n) | 0
    return undefined
  }

  /** The next one to be asked for, of the earliest set. @param from  the first unsecured set */
  take(from: number): { id: number; address: number } | undefined {
    for (let n = 0; n < SET_WINDOW; n++) {
      const set = (from + n) | 0
      const list = this.waiting.get(set)
      const address = list?.shift()
      if (list === undefined || address === undefined) continue
      if (list.length === 0) this.waiting.delete(set)
      const id = this.next++
      this.underWay.set(id, { set, address })
      return { id, address }
    }
    return undefined
  }

  /** The bytes of the one that was taken under this number are there: its address. Undefined when nobody waits for it. */
  found(id: number): number | undefined {
    const { address } = this.underWay.get(id) ?? {}
    this.underWay.delete(id)
    return address
  }

  /** A set was secured: what it lacked is not needed any more. */
  forget(set: number): void {
    this.waiting.delete(set)
    for (const [id, missing] of this.underWay) if (missing.set === set) this.underWay.delete(id)
  }

  /** Bytes of this set (low bits) are missing. */
  lacks(set: number): boolean {
    if (this.isEmpty) return false
    if (this.waiting.has(set)) return true
    for (const missing of this.underWay.values()) if (missing.set === set) return true
    return false
  }
}

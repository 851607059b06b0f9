import type { HostRequests } from './host-requests.ts'
import type { Board } from './memory/board.ts'
import type { FailureKind } from './runtime/messages.ts'
import type { BackupGroup, ViewReport } from './types.ts'

interface Waiting {
  resolve(report: ViewReport): void
  reject(error: Error): void
}

/** Components that were made to fail, until everything is redundant again: what chaos.ts needs of a group. */
export class Failing {
  private static readonly ofGroups = new WeakMap<BackupGroup, Failing>()
  private readonly requests: HostRequests
  private readonly board: Board
  private readonly check: (id: number) => void
  /** By component. */
  private readonly waiting = new Map<number, Waiting[]>()

  /** @param check  throws where there is no such component */
  constructor(group: BackupGroup, requests: HostRequests, board: Board, check: (id: number) => void) {
    this.requests = requests
    this.board = board
    this.check = check
    Failing.ofGroups.set(group, this)
  }

  static of(group: BackupGroup): Failing | undefined {
    return Failing.ofGroups.get(group)
  }

  async fail(id: number, how: FailureKind): Promise<ViewReport> {
    this.check(id)
    return new Promise((resolve, reject) => {
      this.waiting.set(id, [...(this.waiting.get(id) ?? []), { resolve, reject }])
      this.requests.ask((request) => ({ type: 'fail', request, id, how })).catch(reject)
    })
  }

  async failSecondary(index: number): Promise<void> {
    await this.requests.ask((request) => ({ type: 'fail-secondary', request, index }))
  }

  async failSpool(): Promise<void> {
    await this.requests.ask((request) => ({ type: 'fail-spool', request }))
  }

  /** Secondary components do nothing until they may go on. */
  stallSecondary(isStalled: boolean): void {
    const { board } = this
    board.storeStall(isStalled ? 1 : 0)
    for (let n = 0; n < board.layout.secondaries; n++) board.parking[board.layout.slots + n]?.wake()
  }

  hear(report: ViewReport): void {
    // One that was leaving, and had left before it could be made to fail, is gone as well.
    if (report.reason === 'added') return
    for (const { resolve } of this.waiting.get(report.component) ?? []) resolve(report)
    this.waiting.delete(report.component)
  }

  close(error: Error): void {
    for (const waiting of this.waiting.values()) for (const { reject } of waiting) reject(error)
    this.waiting.clear()
  }
}

import { Board, PHASE_RUN } from '../../src/memory/board.ts'
import { SourceMemory, sourceLayout } from '../../src/memory/source-memory.ts'
import { ViewChanges } from '../../src/protocol/view-changes.ts'

const BOARD = { slots: 6, secondaries: 1, volumes: 2 }
const NAMES = ['run', 'stop', 'rebuild', 'restore']

/** Notes the words of the view in the order in which they are stored. */
class LoggedBoard extends Board {
  readonly log: string[] = []

  override storeView(word: number): void {
    this.log.push(`${NAMES[word & 3]} ${word >> 2}`)
    super.storeView(word)
  }
  override storeStood(view: number): void {
    this.log.push(`stood ${view}`)
    super.storeStood(view)
  }
  override storeMembership(members: readonly number[], eligible: readonly number[], fresh: readonly number[]): void {
    this.log.push(`members ${members} eligible ${eligible} fresh ${fresh}`)
    super.storeMembership(members, eligible, fresh)
  }
}

/** Founders in slots 0, 1, 2 and one mirror. */
export class ViewStage {
  readonly board = new LoggedBoard(Board.allocate(BOARD), BOARD)
  readonly sources: { id: number; memory: SourceMemory }[] = []
  readonly positions: [number, number][][] = []
  attachedWhenPublished: number[] = []
  readonly views: ViewChanges
  isConserved: () => boolean = () => true

  constructor({ mirrors = 1, sourcesAt = [] as number[] } = {}) {
    const { board } = this
    const { log } = board
    const layout = sourceLayout(1024)
    for (const [id, slot] of sourcesAt.entries()) {
      const memory = new SourceMemory(SourceMemory.allocate(layout), layout)
      memory.storeAttached(slot)
      this.sources.push({ id, memory })
    }
    this.views = new ViewChanges({
      board,
      members: [0, 1, 2],
      mirrors,
      sources: new Set(this.sources),
      repairResponsibility: (members, eligible) => void log.push(`repair ${members} by ${eligible}`),
      publish: (positions) => {
        log.push('publish')
        this.attachedWhenPublished = this.attached
        this.positions.push([...positions])
      },
      isConserved: () => {
        log.push('conserved?')
        return this.isConserved()
      },
      onReassigned: (view) => void log.push(`reassigned ${view}`),
      onView: (view) => void log.push(`view ${view}`),
      wakeAll: () => void log.push('wake')
    })
    this.said()
  }

  get attached(): number[] {
    return this.sources.map(({ memory }) => memory.loadAttached())
  }

  /** What went over the board, and to the others, since the last time. */
  said(): string[] {
    return this.board.log.splice(0)
  }

  /** These have done their part of the phase that the board shows. */
  done(...slots: number[]): void {
    for (const slot of slots) this.board.storeViewDone(slot, this.board.loadView())
    this.views.step()
  }

  get phase(): number {
    return this.board.loadView() & 3
  }

  /** All members do their parts until this phase. */
  goOn(until: number = PHASE_RUN): void {
    for (let turns = 0; this.phase !== until; turns++) {
      if (turns > 10) throw new Error('it does not go on')
      this.done(...this.views.members)
    }
  }
}

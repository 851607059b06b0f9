import { Board } from '../../src/memory/board.ts'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { openPort } from '../../src/source-port.ts'
import type { SourcePort } from '../../src/types.ts'

/** In which so many updates at most the forming set is looked at anew. */
const LOOK_EVERY = 64

/** Chooses volumes so that a given part of the updates is taken by the component that is responsible for them. */
export class VolumeChoice {
  private readonly board: Board
  private readonly memory: SourceMemory
  private readonly volumes: number
  private readonly ownShare: number
  private own: number[] = []
  private others: number[] = []
  private set: number | undefined
  private turn = 0
  private owed = 0

  constructor(port: SourcePort, ownShare: number) {
    const { facts, buffer, layout } = openPort(port)
    this.board = new Board(facts.board, facts.boardLayout)
    this.memory = new SourceMemory(buffer, layout)
    this.volumes = facts.volumes.length
    this.ownShare = ownShare
  }

  next(): number {
    if (this.turn++ % LOOK_EVERY === 0) this.look()
    this.owed += this.ownShare
    const isOwn = this.owed >= 1
    if (isOwn) this.owed--
    const from = isOwn ? this.own : this.others
    return from[this.turn % from.length] ?? 0
  }

  private look(): void {
    const set = this.board.loadForming()
    if (set === this.set) return
    this.set = set
    const responsible = this.board.responsibilityIn(set)
    const slot = this.memory.loadAttached()
    const all = Array.from({ length: this.volumes }, (_, volume) => volume)
    this.own = all.filter((volume) => responsible[volume] === slot)
    this.others = all.filter((volume) => responsible[volume] !== slot)
  }
}

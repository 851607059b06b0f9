import type { Board } from '../src/memory/board.ts'

/** Samples are overwritten when nobody reads them for so long. */
const READ_EVERY_MS = 20

/** Hands on the latency samples that components write on the board from now on. */
export class SampleReader {
  private readonly board: Board
  private readonly each: (ms: number) => void
  private readonly cursors: number[]
  private readonly timer: NodeJS.Timeout

  constructor(board: Board, each: (ms: number) => void) {
    this.board = board
    this.each = each
    this.cursors = Array.from({ length: board.layout.slots }, (_, slot) => board.readSamples(slot, 0, () => {}))
    this.timer = setInterval(() => this.read(), READ_EVERY_MS)
  }

  close(): void {
    clearInterval(this.timer)
    this.read()
  }

  private read(): void {
    for (const [slot, cursor] of this.cursors.entries()) {
      this.cursors[slot] = this.board.readSamples(slot, cursor, (microseconds) => this.each(microseconds / 1000))
    }
  }
}

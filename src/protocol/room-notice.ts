import type { Board } from '../memory/board.ts'
import type { Surroundings } from './setting.ts'

export interface RoomNoticeSetting {
  readonly board: Board
  readonly surroundings: Surroundings
  /** Its disk has no room, and it tries again; undefined: it goes on. */
  readonly onNoSpace?: (error: Error | undefined) => void
}

/** Tells that the disk of a secondary component, or of the spool, has no room, and that it has again: each time once. */
export class RoomNotice {
  private readonly setting: RoomNoticeSetting
  private readonly index: number
  private told = false

  /** @param index  its line on the board */
  constructor(setting: RoomNoticeSetting, index: number) {
    this.setting = setting
    this.index = index
  }

  /** @param cause  what it waits for; undefined when it does not */
  tell(cause: Error | undefined): void {
    const isWaiting = cause !== undefined
    if (isWaiting === this.told) return
    this.told = isWaiting
    const { board, surroundings, onNoSpace } = this.setting
    board.storeNoSpace(this.index, isWaiting ? 1 : 0)
    onNoSpace?.(cause)
    surroundings.ring()
  }
}

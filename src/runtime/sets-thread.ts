import { threadId } from 'node:worker_threads'
import { Arena } from '../memory/arena.ts'
import { Board } from '../memory/board.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import type { Parking } from '../memory/parking.ts'
import type { KeeperSetting } from '../protocol/spool-keeper.ts'
import { recordOf, runDutyCycle } from './duty-cycle.ts'
import { openArenas, openLink } from './group-memory.ts'
import type { SecondaryTask, SpoolTask, ThreadNotice } from './messages.ts'
import { SecondaryMailbox } from './secondary-mailbox.ts'

/** Who receives sets: a secondary component, or the spool. */
export interface SetsAgent {
  step(): number
  /** Milliseconds until it has something to do though nobody wakes it. */
  readonly dueInMs: number
}

export interface SetsThread {
  /** Its line on the board. */
  readonly index: number
  readonly mailbox: SecondaryMailbox
  /** Of the agent, whichever it is. */
  readonly setting: KeeperSetting
}

/**
 * Runs one of them on this thread until the group is over. Its file calls are synchronous: a thread may be ended only between
 * them, and what it has open is closed before its exit is told. So the next one has the files to itself.
 * @param index  its line on the board, its column of the links
 */
export function receiveSets(
  task: SecondaryTask | SpoolTask,
  index: number,
  labels: ReadonlyMap<number, string>,
  store: { close(): void },
  agentFor: (thread: SetsThread) => SetsAgent
): void {
  const { memory, port, lastSet, resume } = task
  const board = new Board(memory.board, memory.boardLayout)
  const arenas = openArenas(memory)
  const tell = (notice: ThreadNotice): void => port.postMessage(notice)
  const mailbox = new SecondaryMailbox(port, labels, (slot, buffer) => {
    arenas[slot] = new Arena(buffer, memory.arenaLayout)
  })
  const setting: KeeperSetting = {
    board,
    links: memory.drains.map((row) => openLink(memory, row[index] as SharedArrayBuffer)),
    arenas,
    beforeRebuild: () => mailbox.read(),
    lastSet,
    resume: resume === true,
    surroundings: {
      clock: clockMicroseconds,
      ring: () => {
        if (board.pressDoorbell()) tell({ type: 'ring' })
      }
    },
    onNoSpace: (error) => tell({ type: 'no-space', error: recordOf(error) })
  }
  const agent = agentFor({ index, mailbox, setting })
  port.unref()
  tell({ type: 'running', threadId })
  try {
    runDutyCycle(
      {
        step: () => agent.step(),
        attend: () => 0,
        doze: () => {},
        get dueInMs() {
          return agent.dueInMs
        },
        get isOver() {
          return board.loadShutdown() !== 0
        }
      },
      board.parking[board.layout.slots + index] as Parking
    )
  } finally {
    store.close()
    port.close()
  }
}

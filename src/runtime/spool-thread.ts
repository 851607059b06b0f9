import { threadId } from 'node:worker_threads'
import { Arena } from '../memory/arena.ts'
import { Board } from '../memory/board.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import { SpoolKeeper } from '../protocol/spool-keeper.ts'
import { FileSpoolStore } from '../secondary/spool-store.ts'
import { recordOf, runDutyCycle, untilItEnds } from './duty-cycle.ts'
import { openArenas, openLink } from './group-memory.ts'
import type { SpoolTask, ThreadNotice, ThreadOutcome } from './messages.ts'
import { SecondaryMailbox } from './secondary-mailbox.ts'

/** The spool on its thread (docs/pressure.md). Like a secondary component's: file calls are synchronous. */
export default function runSpool(task: SpoolTask): ThreadOutcome {
  return untilItEnds(() => keepSets(task))
}

function keepSets(task: SpoolTask): void {
  const { memory, port } = task
  const board = new Board(memory.board, memory.boardLayout)
  const arenas = openArenas(memory)
  const tell = (notice: ThreadNotice): void => port.postMessage(notice)
  const mailbox = new SecondaryMailbox(port, new Map(), (slot, buffer) => {
    arenas[slot] = new Arena(buffer, memory.arenaLayout)
  })
  const store = new FileSpoolStore(task.store)
  const keeper = new SpoolKeeper(
    {
      board,
      links: memory.drains.map((row) => openLink(memory, row[board.spoolIndex] as SharedArrayBuffer)),
      arenas,
      beforeRebuild: () => mailbox.read(),
      lastSet: task.lastSet,
      resume: task.resume === true,
      surroundings: {
        clock: clockMicroseconds,
        ring: () => {
          if (board.pressDoorbell()) tell({ type: 'ring' })
        }
      },
      onNoSpace: (error) => tell({ type: 'no-space', error: recordOf(error) })
    },
    store
  )
  port.unref()
  tell({ type: 'running', threadId })
  try {
    runDutyCycle(
      {
        step: () => keeper.step(),
        attend: () => 0,
        doze: () => {},
        get dueInMs() {
          return keeper.dueInMs
        },
        get isOver() {
          return board.loadShutdown() !== 0
        }
      },
      board.spoolParking
    )
  } finally {
    store.close()
    port.close()
  }
}

import { threadId } from 'node:worker_threads'
import { Arena } from '../memory/arena.ts'
import { Board } from '../memory/board.ts'
import { clockMicroseconds } from '../memory/clock.ts'
import type { Parking } from '../memory/parking.ts'
import { SetReceiver } from '../protocol/set-receiver.ts'
import { FileSetStore } from '../secondary/file-store.ts'
import { recordOf, runDutyCycle, untilItEnds } from './duty-cycle.ts'
import { openArenas, openLink } from './group-memory.ts'
import type { SecondaryTask, ThreadNotice, ThreadOutcome } from './messages.ts'
import { SecondaryMailbox } from './secondary-mailbox.ts'

/**
 * A secondary component on its thread. Its file calls are synchronous: a thread may be ended only between them, and what it
 * has open is closed before its exit is told. So the next one has the files to itself.
 */
export default function runSecondary(task: SecondaryTask): ThreadOutcome {
  return untilItEnds(() => receiveSets(task))
}

function receiveSets(task: SecondaryTask): void {
  const { memory, index, port } = task
  const board = new Board(memory.board, memory.boardLayout)
  const arenas = openArenas(memory)
  const tell = (notice: ThreadNotice): void => port.postMessage(notice)
  const mailbox = new SecondaryMailbox(port, task.labels, (slot, buffer) => {
    arenas[slot] = new Arena(buffer, memory.arenaLayout)
  })
  const store = new FileSetStore(task.store)
  const receiver = new SetReceiver(
    {
      index,
      board,
      links: memory.drains.map((row) => openLink(memory, row[index] as SharedArrayBuffer)),
      arenas,
      beforeRebuild: () => mailbox.read(),
      labelOf: (set) => mailbox.labelOf(set),
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
        step: () => receiver.step(),
        attend: () => 0,
        doze: () => {},
        get dueInMs() {
          return receiver.dueInMs
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

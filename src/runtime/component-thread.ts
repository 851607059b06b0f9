import { setTimeout as pause } from 'node:timers/promises'
import { receiveMessageOnPort, threadId } from 'node:worker_threads'
import { Board } from '../memory/board.ts'
import { type Parking, parkingIn } from '../memory/parking.ts'
import { ComponentAgent } from './component-agent.ts'
import { runDutyCycle, untilItEnds } from './duty-cycle.ts'
import type { Appointment, ComponentTask, SpareTask, ThreadNotice, ThreadOutcome } from './messages.ts'
import { SETTLING_MS, warmUp } from './warm-up.ts'

/** The task that a thread runs for as long as the component lives, before it is one too. */
export default async function runComponent(task: ComponentTask | SpareTask): Promise<ThreadOutcome> {
  const { board, boardLayout } = task.memory
  if ('bed' in task) {
    warmUp()
    await pause(SETTLING_MS)
  }
  // The port delivers only when it is asked: this thread does not return to its event loop.
  task.port.unref()
  return untilItEnds(() => {
    const opened = new Board(board, boardLayout)
    if ('bed' in task) beSpare(task, opened)
    else backUp(task, opened)
  })
}

/** Warm, and asleep until it is given a slot: without an event loop, so that all it takes then is one message and one waking. */
function beSpare(task: SpareTask, board: Board): void {
  const { port, protocol, secondaryOf } = task
  tell(task, { type: 'warm' })
  const appointment = waitForSlot(task, board)
  if (appointment !== undefined) backUp({ ...appointment, protocol, secondaryOf, firstSet: undefined, port }, board)
}

/** Undefined: everything is over. */
function waitForSlot({ port, bed }: SpareTask, board: Board): Appointment | undefined {
  const parking = parkingIn(bed)
  while (board.loadShutdown() === 0) {
    parking.prepare()
    const got = receiveMessageOnPort(port)
    if (got !== undefined) {
      parking.cancel()
      return got.message as Appointment
    }
    if (board.loadShutdown() === 0) parking.sleep()
  }
  return undefined
}

function backUp(task: ComponentTask, board: Board): void {
  const agent = new ComponentAgent(task, board)
  tell(task, { type: 'running', threadId })
  runDutyCycle(agent, board.parking[task.slot] as Parking)
}

function tell({ port }: ComponentTask | SpareTask, notice: ThreadNotice): void {
  port.postMessage(notice)
}

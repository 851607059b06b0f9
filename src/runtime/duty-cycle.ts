import { TidemarkError, type TidemarkErrorRecord } from '../errors.ts'
import type { Parking } from '../memory/parking.ts'
import type { ThreadOutcome } from './messages.ts'

/** Turns that find nothing before the thread sleeps. Few: on a busy machine another thread has better use for the core. */
const SPINS = 10

export interface Agent {
  /** One turn of its duty cycle. Returns how much was done. */
  step(): number
  /** Rare things: looked at when there is nothing else to do, and now and then. Returns how much was done. */
  attend(): number
  /** It is about to sleep: whoever has to wake it is told. */
  doze(): void
  /** Milliseconds until it has something to do though nobody wakes it. Default: never. */
  readonly dueInMs?: number
  readonly isOver: boolean
}

const ATTEND_EVERY = 64

/** Runs an agent until it is over: at full speed while there is work, asleep when there is none. Never returns before. */
export function runDutyCycle(agent: Agent, parking: Parking): void {
  let idle = 0
  let turns = 0
  while (!agent.isOver) {
    let work = agent.step()
    if (work === 0 || ++turns % ATTEND_EVERY === 0) work += agent.attend()
    if (work > 0) {
      idle = 0
      continue
    }
    if (++idle < SPINS) continue
    idle = 0
    // Said first, then everything is looked at once more: what comes after finds the thread parked and wakes it.
    parking.prepare()
    agent.doze()
    if (agent.isOver || agent.step() > 0 || agent.attend() > 0) {
      parking.cancel()
      continue
    }
    const { dueInMs } = agent
    if (dueInMs === undefined || dueInMs === Number.POSITIVE_INFINITY) parking.sleep()
    else if (dueInMs > 0) parking.sleep(dueInMs)
  }
}

/** For posting. */
export function recordOf(error: Error | undefined): TidemarkErrorRecord | undefined {
  return error instanceof TidemarkError ? error.toRecord() : undefined
}

/** What a thread's task returns. An error goes as a record: posting it would drop its class, code and details. */
export function untilItEnds(work: () => void): ThreadOutcome {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof TidemarkError) return error.toRecord()
    const message = error instanceof Error ? error.message : String(error)
    return new TidemarkError('TIDEMARK_SUSPENDED', message, {}, { cause: error }).toRecord()
  }
}

import { fork } from 'node:child_process'
import { type Check, notHung } from '../checks.ts'

export interface HeldSetting {
  readonly name: string
  readonly lengthBytes: number
  /** Each has a source of its own. */
  readonly components: number
  readonly mirrors: number
  readonly componentMemoryBytes: number
  readonly ringBytes: number
  /** Held before anything is read: rings, links and code are used for the first time. */
  readonly updatesBefore: number
  readonly updates: number
}

/** Over all components: copies, and their bytes as `status` tells them. */
export interface HeldReading {
  readonly heldUpdates: number
  readonly heldBytes: number
  /** Of the process. */
  readonly residentBytes: number
}

export interface HoldingResult {
  readonly before: HeldReading
  readonly after: HeldReading
  readonly checks: Check[]
}

/** Runs held-process.ts. */
export async function holdUpdates(setting: HeldSetting): Promise<HoldingResult> {
  const file = new URL('./held-process.ts', import.meta.url)
  const child = fork(file, [JSON.stringify(setting)], { execArgv: ['--expose-gc'] })
  const answer = new Promise<HoldingResult>((resolve, reject) => {
    child.once('message', (result) => resolve(result as HoldingResult))
    child.once('error', reject)
    // What it has sent comes first: this is of no effect then.
    child.once('close', (code) => reject(new Error(`the process that was to hold updates has ended with code ${code}`)))
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  try {
    return await notHung(setting.name, answer)
  } finally {
    // It may hang.
    child.kill()
    await ended
  }
}

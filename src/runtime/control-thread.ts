import { parentPort, workerData } from 'node:worker_threads'
import { TidemarkError } from '../errors.ts'
import { Control } from './control.ts'
import type { ControlNotice, ControlOptions, HostRequest } from './messages.ts'

/**
 * The control thread: watches components, closes periods, leads sets to their end. Not the host's main thread, so that an
 * application that blocks its event loop delays none of it.
 */
const port = parentPort
if (port !== null) {
  const tell = (notice: ControlNotice): void => port.postMessage(notice)
  const fail = (error: unknown): void => {
    const known =
      error instanceof TidemarkError
        ? error
        : new TidemarkError('TIDEMARK_SUSPENDED', `the control thread failed: ${String(error)}`, {}, { cause: error })
    tell({ type: 'failed', error: known.toRecord() })
  }
  try {
    const control = new Control(workerData as ControlOptions, tell)
    port.on('message', (request: HostRequest) => {
      control.receive(request).then(
        (goesOn) => {
          if (!goesOn) port.close()
        },
        (error: unknown) => {
          fail(error)
          port.close()
        }
      )
    })
  } catch (error) {
    fail(error)
  }
}

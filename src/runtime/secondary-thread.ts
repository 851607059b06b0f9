import { SetReceiver } from '../protocol/set-receiver.ts'
import { FileSetStore } from '../secondary/file-store.ts'
import { untilItEnds } from './duty-cycle.ts'
import type { SecondaryTask, ThreadOutcome } from './messages.ts'
import { receiveSets } from './sets-thread.ts'

/** A secondary component on its thread. */
export default function runSecondary(task: SecondaryTask): ThreadOutcome {
  return untilItEnds(() => {
    const { labels, tellsReceived } = task
    const store = new FileSetStore(task.store)
    receiveSets(task, task.index, labels, store, ({ index, mailbox, setting }) => {
      return new SetReceiver({ ...setting, index, tellsReceived, labelOf: (set) => mailbox.labelOf(set) }, store)
    })
  })
}

import { SpoolKeeper } from '../protocol/spool-keeper.ts'
import { FileSpoolStore } from '../secondary/spool-store.ts'
import { untilItEnds } from './duty-cycle.ts'
import type { SpoolTask, ThreadOutcome } from './messages.ts'
import { receiveSets } from './sets-thread.ts'

/** Nothing that the spool keeps has a name of its own. */
const NO_LABELS = new Map<number, string>()

/** The spool on its thread (docs/pressure.md). */
export default function runSpool(task: SpoolTask): ThreadOutcome {
  return untilItEnds(() => {
    const store = new FileSpoolStore(task.store)
    // Behind the secondary components (Board.spoolIndex).
    const { secondaries } = task.memory.boardLayout
    receiveSets(task, secondaries, NO_LABELS, store, ({ setting }) => new SpoolKeeper(setting, store))
  })
}

import { workerData } from 'node:worker_threads'
import type { Parking } from '../../src/memory/parking.ts'
import { SourceMemory } from '../../src/memory/source-memory.ts'
import { runDutyCycle } from '../../src/runtime/duty-cycle.ts'
import { BareComponent } from '../bare/component.ts'
import { openBare } from '../bare/memory.ts'
import type { BareComponentData, BareComponentResult } from '../bare/path.ts'
import { answerRequests } from '../bench-thread.ts'

const { memory, slot } = workerData as BareComponentData
const ends = openBare(memory, slot)
// As in a group: sources go to components in turn.
const sources = memory.sources.filter((_, n) => n % memory.components === slot)
const component = new BareComponent(
  slot,
  ends,
  sources.map(({ buffer, layout }) => new SourceMemory(buffer, layout)),
  memory.boardLayout.volumes
)

answerRequests<'run', BareComponentResult>(() => {
  const agent = {
    step: () => component.step(),
    attend: () => 0,
    doze: () => {},
    get isOver() {
      return ends.board.loadShutdown() !== 0
    }
  }
  runDutyCycle(agent, ends.board.parking[slot] as Parking)
  return { sequenced: component.sequenced }
})

import { workerData } from 'node:worker_threads'
import { attachSource, type SourcePort } from '../../src/index.ts'
import { writeUntilKilled } from './killed-source.ts'
import type { KilledTask } from './killed-updates.ts'

const { ports, task } = workerData as { ports: Map<number, SourcePort>; task: KilledTask }
for (const [index, port] of ports) {
  const source = attachSource(port)
  if (task.isOrderly !== true) void writeUntilKilled(source, index, task)
}

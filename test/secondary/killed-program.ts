/**
 * A group under load in a process that is killed at any instant. Says on stdout, before anything else can happen in its main
 * thread, what it is told: `running`, then `secured N` for each set
 * that holds something.
 */
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'
import { openGroup } from '../../src/index.ts'
import { writeUntilKilled } from './killed-source.ts'
import { type KilledTask, SOURCES, VOLUMES } from './killed-updates.ts'

const STDOUT = 1
const task = JSON.parse(process.argv[2] as string) as KilledTask
const group = await openGroup({
  volumes: VOLUMES,
  components: 2,
  spares: 0,
  componentMemoryBytes: 4 << 20,
  formationPeriodMs: 3,
  secondary: { directory: task.directory, components: 2, confirm: task.round % 2 === 0 ? 'journaled' : 'mirrored' }
})
group.on('set', ({ set, state, updates }) => {
  // One that holds nothing leaves nothing on the disk: the volumes are the same without it.
  if (state === 'secured' && updates > 0) fs.writeSync(STDOUT, `secured ${set}\n`)
})
fs.writeSync(STDOUT, 'running\n')
const [own, ...others] = SOURCES as [string, ...string[]]
const ports = new Map(others.map((name, n) => [n + 1, group.exportSource(name)]))
new Worker(new URL('./killed-thread.ts', import.meta.url), { workerData: { ports, task } })
if (task.isOrderly === true) {
  await group.openSource(own).volume('a').write(0, Buffer.of(1))
  await group.whenApplied()
  await group.close()
  process.exit()
}
await writeUntilKilled(group.openSource(own), 0, task)

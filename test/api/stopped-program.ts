/**
 * A program with a group under load, for a test that stops the whole process for a while and continues it. Says one JSON
 * document a line: that it runs; at 'look' how it stands; at 'end', when all is closed, what was written and what arrived.
 */
import { createInterface } from 'node:readline'
import { openGroup, type ViewReport } from '../../src/index.ts'
import { COUNTED_VOLUMES, Counters } from './writers.ts'

const directory = process.argv[2] as string
const group = await openGroup({
  volumes: COUNTED_VOLUMES,
  components: 4,
  componentMemoryBytes: 16 * 2 ** 20,
  formationPeriodMs: 20,
  hangTimeoutMs: 1000,
  secondary: { directory }
})
const views: ViewReport[] = []
group.on('view', (report) => views.push(report))
const warnings: string[] = []
group.on('warning', ({ message }) => warnings.push(message))

/** Holds bigints: they are said as strings. */
function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`)
}

const counters = new Counters(group, directory, 2, 2)
// A thread's start may take its time.
await counters.begun()
say({ said: 'running' })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'look') {
    const cut = await counters.look()
    const { state, sets } = group.status()
    say({ said: 'look', cut, state, applied: sets.applied, views, warnings })
    continue
  }
  const last = await counters.end()
  await group.close()
  say({ said: 'end', last, read: counters.read(), views, warnings })
  break
}

/**
 * Holds updates, in a process of its own: nothing that others have left is given back to the system meanwhile, and all
 * memory of the components is touched for the first time. The setting is its argument; the answer is one message.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { PrimarySource } from '../../src/index.ts'
import { CountedGroup } from '../failover/counted-group.ts'
import type { HeldReading, HeldSetting, HoldingResult } from './holding.ts'

const VOLUMES = Array.from({ length: 16 }, (_, n) => `volume-${n}`)
const VOLUME_BYTES = 64 * 2 ** 20
/** What is held stays held. */
const ENDLESS_PERIOD_MS = 3600_000
/** A component that gets no core for a second is not to be taken for hung: others would hold more for it. */
const HANG_TIMEOUT_MS = 60_000
/** Components tell what they hold when they have done something; until then it is looked at so often. */
const LOOK_EVERY_MS = 5
const LOOKS = 400

const setting = JSON.parse(process.argv[2] ?? '') as HeldSetting
const { lengthBytes, mirrors, componentMemoryBytes } = setting

async function hold(): Promise<HoldingResult> {
  const group = await CountedGroup.open(setting.name, {
    volumes: VOLUMES.map((name) => ({ name, size: VOLUME_BYTES })),
    components: setting.components,
    spares: 0,
    mirrors,
    formationPeriodMs: ENDLESS_PERIOD_MS,
    hangTimeoutMs: HANG_TIMEOUT_MS,
    componentMemoryBytes,
    secondary: 'discard'
  })
  const sources = group
    .active()
    .map(({ id }) => group.group.openSource(`source-${id}`, { component: id, ringBytes: setting.ringBytes }))
  await post(group, sources, 0, setting.updatesBefore)
  const before = await read(group, setting.updatesBefore)
  await post(group, sources, setting.updatesBefore, setting.updates)
  const posted = setting.updatesBefore + setting.updates
  const after = await read(group, posted)
  const checks = [
    { name: `${setting.name}: copies held`, expected: posted * (mirrors + 1), found: after.heldUpdates },
    ...(await group.checkSets({ updates: posted, bytes: posted * lengthBytes })),
    { name: `${setting.name}: sets closed for lack of memory`, expected: 0, found: group.setsClosedEarly }
  ]
  await group.close()
  return { before, after, checks }
}

async function post(
  group: CountedGroup,
  sources: readonly PrimarySource[],
  from: number,
  count: number
): Promise<void> {
  const data = new Uint8Array(lengthBytes).fill(7)
  const writers = sources.map((source) => VOLUMES.map((name) => source.volume(name)))
  const places = Math.floor(VOLUME_BYTES / lengthBytes)
  for (let n = from; n < from + count; n++) {
    const turn = Math.floor(n / writers.length)
    const writer = writers[n % writers.length]?.[turn % VOLUMES.length]
    const offset = (Math.floor(turn / VOLUMES.length) % places) * lengthBytes
    while (writer?.tryPost(offset, data) === false) await writer.ready(lengthBytes)
  }
  await group.watched('flushing', Promise.all(sources.map((source) => source.flush())))
}

async function read(group: CountedGroup, posted: number): Promise<HeldReading> {
  for (let look = 0; look < LOOKS && heldBy(group).updates < posted * (mirrors + 1); look++) await pause(LOOK_EVERY_MS)
  // What this thread has left behind is no memory of updates. Those of the components leave nothing behind at each of them.
  globalThis.gc?.()
  const { updates, bytes } = heldBy(group)
  return { heldUpdates: updates, heldBytes: bytes, residentBytes: process.memoryUsage().rss }
}

function heldBy(group: CountedGroup): { updates: number; bytes: number } {
  const active = group.active()
  return {
    updates: active.reduce((sum, { heldUpdates }) => sum + heldUpdates, 0),
    bytes: active.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
  }
}

process.send?.(await hold())
process.disconnect()

/** Memory that held updates take: as components tell it, and as the process grows. */
import { recordBytesFor } from '../src/memory/record.ts'
import type { Check } from './checks.ts'
import { type HeldReading, type HeldSetting, holdUpdates } from './memory/holding.ts'
import type { Suite, SuiteSettings } from './suite.ts'
import { size, table } from './table.ts'

const TOPOLOGY = `
      source 0 .. 3 --ring--> component 0 .. 3 (threads) <--links--> each other
      16 volumes, a set without end: all that is acknowledged is held, by mirrors+1 components

  Each row in a process of its own. Before the first reading all rings have been gone around twice.
`

const MIB = 2 ** 20
const COMPONENTS = 4
const RING_BYTES = MIB
const ROUNDS_BEFORE = 2
/** By all components together. */
const HELD_BYTES = 512 * MIB
const QUICK_HELD_BYTES = 64 * MIB
/** Of what would suffice if all components held the same. */
const ROOM = 4
const SMALLEST_MEMORY = 64 * MIB

export interface MemoryResult {
  readonly setting: HeldSetting
  readonly before: HeldReading
  readonly after: HeldReading
  /** For each acknowledged update, all its copies together: as `status` tells it, and as the process grew. */
  readonly heldPerUpdate: number
  readonly residentPerUpdate: number
  /** For each byte of data. */
  readonly heldPerDataByte: number
  readonly residentPerDataByte: number
}

export const MEMORY: Suite<MemoryResult[]> = {
  name: 'memory',
  about: 'bytes of memory for each update that is held',
  topology: TOPOLOGY,
  run: benchMemory,
  disturbances: () => [],
  verdicts: () => []
}

async function benchMemory({ quick, print }: SuiteSettings): Promise<{ result: MemoryResult[]; checks: Check[] }> {
  const result: MemoryResult[] = []
  const checks: Check[] = []
  for (const lengthBytes of [64, 4096]) {
    for (const mirrors of [1, 2]) {
      const setting = settingFor(lengthBytes, mirrors, quick ? QUICK_HELD_BYTES : HELD_BYTES)
      const holding = await holdUpdates(setting)
      const { before, after } = holding
      const heldPerUpdate = (after.heldBytes - before.heldBytes) / setting.updates
      const residentPerUpdate = (after.residentBytes - before.residentBytes) / setting.updates
      result.push({
        setting,
        before,
        after,
        heldPerUpdate,
        residentPerUpdate,
        heldPerDataByte: heldPerUpdate / lengthBytes,
        residentPerDataByte: residentPerUpdate / lengthBytes
      })
      checks.push(...holding.checks)
    }
  }
  print(table(HEAD, result.map(describe)))
  return { result, checks }
}

function settingFor(lengthBytes: number, mirrors: number, heldBytes: number): HeldSetting {
  const recordBytes = recordBytesFor(lengthBytes)
  return {
    name: `${size(lengthBytes)}, ${mirrors === 1 ? '1 mirror' : `${mirrors} mirrors`}, held`,
    lengthBytes,
    components: COMPONENTS,
    mirrors,
    componentMemoryBytes: Math.max(SMALLEST_MEMORY, (ROOM * heldBytes) / COMPONENTS),
    ringBytes: RING_BYTES,
    updatesBefore: Math.ceil((ROUNDS_BEFORE * COMPONENTS * RING_BYTES) / recordBytes),
    updates: Math.ceil(heldBytes / ((mirrors + 1) * recordBytes))
  }
}

const HEAD = [
  'update',
  'mirrors',
  'updates',
  'held B/update',
  'resident B/update',
  'held B/copy',
  'held/data byte',
  'resident/data byte'
]

function describe(result: MemoryResult): string[] {
  const { setting, heldPerUpdate, residentPerUpdate, heldPerDataByte, residentPerDataByte } = result
  return [
    size(setting.lengthBytes),
    String(setting.mirrors),
    String(setting.updates),
    heldPerUpdate.toFixed(0),
    residentPerUpdate.toFixed(0),
    (heldPerUpdate / (setting.mirrors + 1)).toFixed(0),
    heldPerDataByte.toFixed(2),
    residentPerDataByte.toFixed(2)
  ]
}

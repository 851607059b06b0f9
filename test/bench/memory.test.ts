/** The benchmark of held updates runs to its end; the bytes that a group tells are exact, those of the process are not. */
import { beforeAll, describe, expect, test } from 'vitest'
import { isHeld } from '../../bench/checks.ts'
import type { MemoryResult } from '../../bench/memory.ts'
import { recordBytesFor } from '../../src/memory/record.ts'
import { type BenchRun, runBench } from './support.ts'

// Some seconds of a machine to itself.
const LONGEST_MS = 120_000

describe('npm run bench -- memory --quick', () => {
  let run: BenchRun<{ memory: MemoryResult[] }>

  beforeAll(async () => {
    run = await runBench(['memory', '--quick'], LONGEST_MS)
  }, LONGEST_MS)

  test('measures small and large updates with one mirror and with two', () => {
    const settings = run.document.memory.map(({ setting }) => [setting.lengthBytes, setting.mirrors])
    expect(settings).toEqual([
      [64, 1],
      [64, 2],
      [4096, 1],
      [4096, 2]
    ])
  })

  test('finds the records of all copies, and a process that has grown by as much at least', () => {
    for (const { setting, heldPerUpdate, heldPerDataByte, residentPerUpdate, ...result } of run.document.memory) {
      const { lengthBytes, mirrors, updates } = setting
      expect(heldPerUpdate).toBe(recordBytesFor(lengthBytes) * (mirrors + 1))
      expect(heldPerDataByte).toBe(heldPerUpdate / lengthBytes)
      expect(residentPerUpdate).toBeGreaterThan(heldPerUpdate * 0.9)
      expect(result.residentPerDataByte).toBe(residentPerUpdate / lengthBytes)
      expect(result.after.heldUpdates - result.before.heldUpdates).toBe(updates * (mirrors + 1))
    }
  })

  test('checks that all copies are held, and that no set ended meanwhile', () => {
    const { checks, ok } = run.document
    expect(checks.filter((check) => !isHeld(check))).toEqual([])
    expect(ok).toBe(true)
    for (const what of ['copies held', 'updates in applied sets', 'sets closed for lack of memory']) {
      expect(checks.filter(({ name }) => name.endsWith(what))).toHaveLength(4)
    }
  })
})

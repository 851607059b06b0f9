/**
 * A secondary that stands still under load: with a spool, with one that is too small, without one. The whole thing for 30
 * seconds: TIDEMARK_STALL_MS=30000 npx vitest run test/api/pressure.test.ts
 */
import { readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { failComponent, failSecondaryComponent, failSpool, stallSecondary } from '../../src/chaos.ts'
import type { BackupGroup, PressureReport, TidemarkError } from '../../src/index.ts'
import { isInOrder, runSlowSecondary, type SlowFacts, VOLUMES, wrongBlocks } from './slow-secondary.ts'
import { activeIds, openTestGroup, temporaryDirectory } from './support.ts'

const STALL_MS = Number(process.env.TIDEMARK_STALL_MS ?? 2000)
const MIB = 2 ** 20
const MEMORY_BYTES = 8 * MIB
const TIMEOUT = 60_000 + 4 * STALL_MS

async function openSlow(options: { limitBytes?: number; spool?: boolean } = {}) {
  const directory = temporaryDirectory()
  const spoolDirectory = options.spool === false ? undefined : path.join(temporaryDirectory(), 'spool')
  const group = await openTestGroup({
    volumes: VOLUMES,
    components: 4,
    componentMemoryBytes: MEMORY_BYTES,
    formationPeriodMs: 100,
    secondary: { directory },
    ...(spoolDirectory !== undefined && { spoolDirectory }),
    ...(options.limitBytes !== undefined && { spoolLimitBytes: options.limitBytes })
  })
  return { group, directory, spoolDirectory }
}

function tell(what: string, facts: SlowFacts): void {
  const { mostHeld, mostSpooled, mostInFiles, written, longestMs, mostLagMs, caughtUpMs, lagAfterMs } = facts
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`
  const updates = written.reduce((sum, count) => sum + count, 0)
  process.stdout.write(
    `${what}, ${STALL_MS} ms: ${updates} updates, held ${mib(mostHeld)} of ${mib(MEMORY_BYTES)}, ` +
      `spooled ${mib(mostSpooled)} (files ${mib(mostInFiles)}), longest wait of a source ${longestMs.toFixed(0)} ms, ` +
      `lag ${mostLagMs} ms, caught up in ${caughtUpMs.toFixed(0)} ms, then ${lagAfterMs} ms\n`
  )
}

async function expectWhole(
  group: BackupGroup,
  directory: string,
  facts: SlowFacts,
  most = MEMORY_BYTES
): Promise<void> {
  await group.close()
  expect(wrongBlocks(directory, facts.written)).toEqual([])
  expect(facts.mostHeld).toBeLessThanOrEqual(most)
  expect(isInOrder(facts.events)).toBe(true)
  // Whatever began has ended.
  const open = new Set<string>()
  for (const { step, state } of facts.events) state === 'begin' ? open.add(step) : open.delete(step)
  expect([...open]).toEqual([])
}

describe('the secondary stands still under the load of four sources', () => {
  test(
    'with a spool: sources go on, the spool takes what memory cannot hold, lag comes down again under load',
    async () => {
      const { group, directory, spoolDirectory } = await openSlow()
      const facts = await runSlowSecondary(group, {
        stallMs: STALL_MS,
        perSecond: 1500,
        until: 'spool',
        ...(spoolDirectory !== undefined && { spoolDirectory })
      })
      tell('with a spool', facts)
      expect(facts.order[0]).toBe('close-early begin')
      expect(facts.order).toContain('spool begin')
      // On a machine whose disk is busy with something else.
      const paced = facts.events.filter(({ step, state }) => step === 'pace' && state === 'begin')
      for (const { reason } of paced) expect(reason).toContain('the spool does not take sets as fast as they come')
      expect(facts.order.lastIndexOf('spool end')).toBeGreaterThan(facts.order.lastIndexOf('spool begin'))
      expect(facts.mostSpooled).toBeGreaterThan(0)
      expect(facts.mostInFiles).toBeGreaterThan(0)
      expect(facts.mostInFiles).toBeLessThanOrEqual(facts.mostSpooled)
      expect(facts.mostLagMs).toBeGreaterThan(STALL_MS * 0.8)
      expect(facts.lagAfterMs).toBeLessThan(1000)
      // Nobody waited for the secondary.
      expect(facts.longestMs).toBeLessThan(STALL_MS)
      await expectWhole(group, directory, facts)
      expect(readdirSync(path.join(spoolDirectory as string, 'segments'))).toEqual([])
    },
    TIMEOUT
  )

  test(
    'with a spool that is too small: it stays below its limit, then sources are paced',
    async () => {
      const limitBytes = 24 * MIB
      const { group, directory, spoolDirectory } = await openSlow({ limitBytes })
      const facts = await runSlowSecondary(group, {
        stallMs: STALL_MS,
        until: 'pace',
        ...(spoolDirectory !== undefined && { spoolDirectory })
      })
      tell('with a small spool', facts)
      const first = (step: string): number => facts.order.indexOf(`${step} begin`)
      expect(first('close-early')).toBe(0)
      expect(first('spool')).toBeGreaterThan(first('close-early'))
      expect(first('pace')).toBeGreaterThan(first('spool'))
      expect(facts.events.find(({ step }) => step === 'pace')?.reason).toContain(`its limit of ${limitBytes} bytes`)
      expect(facts.mostSpooled).toBeLessThanOrEqual(limitBytes)
      expect(facts.mostInFiles).toBeLessThanOrEqual(limitBytes)
      expect(facts.longestMs).toBeGreaterThan(STALL_MS / 3)
      await expectWhole(group, directory, facts)
    },
    TIMEOUT
  )

  test(
    'without a spool: sources are paced, nothing is lost',
    async () => {
      const { group, directory } = await openSlow({ spool: false })
      const facts = await runSlowSecondary(group, { stallMs: STALL_MS, until: 'pace' })
      tell('without a spool', facts)
      // As nobody pauses, memory may have been short, and no more, before the secondary stood still.
      const paceAt = facts.order.indexOf('pace begin')
      expect(facts.order[0]).toBe('close-early begin')
      expect(facts.order.slice(paceAt - 1, paceAt + 1)).toEqual(['close-early begin', 'pace begin'])
      expect(facts.order).not.toContain('spool begin')
      expect(facts.longestMs).toBeGreaterThan(STALL_MS / 3)
      await expectWhole(group, directory, facts)
    },
    TIMEOUT
  )

  test(
    'components, the spool and a secondary component are killed meanwhile: changes of view do not wait for the secondary',
    async () => {
      const { group, directory } = await openSlow()
      let slowest = 0
      const facts = await runSlowSecondary(group, {
        stallMs: STALL_MS,
        perSecond: 1000,
        until: 'spool',
        meanwhile: async () => {
          for (let kills = 0; kills < 2; kills++) {
            const { redundantMs } = await failComponent(group, activeIds(group)[kills] as number)
            slowest = Math.max(slowest, redundantMs)
          }
          await failSpool(group)
          await failSecondaryComponent(group, 1)
        }
      })
      tell(`with kills, views in at most ${slowest.toFixed(0)} ms`, facts)
      // Copies that changes of view move go into spare memory: survivors hold what all held.
      await expectWhole(group, directory, facts, 2.5 * MEMORY_BYTES)
    },
    TIMEOUT
  )
})

describe('what can be seen', () => {
  test('status shows the step, its reason, and the bytes held and spooled', async () => {
    const { group } = await openSlow()
    expect(group.status().pressure).toEqual({ step: null, reason: null, heldBytes: 0, spooledBytes: 0, noSpace: [] })
    using stall = stallSecondary(group)
    const source = group.openSource('s')
    const writer = source.volume('v0')
    const began = new Promise<PressureReport>((resolve) => {
      group.on('pressure', (report) => report.step === 'spool' && resolve(report))
    })
    let isOver = false
    const writing = (async () => {
      for (let n = 0; !isOver; n++) await writer.write((n % 256) * 4096, Buffer.alloc(4096, n))
    })()
    const report = await began
    expect(report).toMatchObject({ state: 'begin' })
    expect(report.reason).toMatch(/the secondary has not secured set \d+, and memory is short/)
    const { pressure } = group.status()
    expect(pressure).toMatchObject({ step: 'spool', reason: report.reason, noSpace: [] })
    expect(pressure.heldBytes).toBeGreaterThan(0)
    expect(pressure.spooledBytes).toBeGreaterThan(0)
    isOver = true
    await writing
    stall.release()
    await group.close()
    expect(group.status().pressure).toMatchObject({ step: null, spooledBytes: 0 })
  }, 30_000)

  test('a spool that breaks suspends the group, and says so', async () => {
    const { group, spoolDirectory } = await openSlow()
    const steps: string[] = []
    group.on('pressure', ({ step, state }) => steps.push(`${step} ${state}`))
    const suspended = new Promise<TidemarkError>((resolve) => group.once('suspended', resolve))
    using _stall = stallSecondary(group)
    const segments = path.join(spoolDirectory as string, 'segments')
    rmSync(segments, { recursive: true })
    const writer = group.openSource('s').volume('v0')
    const writing = (async () => {
      for (let n = 0; ; n++) await writer.write((n % 256) * 4096, Buffer.alloc(4096, n))
    })()
    await expect(writing).rejects.toMatchObject({ code: 'TIDEMARK_SUSPENDED' })
    const error = await suspended
    expect(error).toMatchObject({ code: 'TIDEMARK_CORRUPT' })
    expect(error.message).toContain(segments)
    expect(steps.at(-1)).toBe('suspend begin')
    expect(group.status().pressure).toMatchObject({ step: 'suspend', reason: error.message })
  }, 30_000)

  test('bad options are refused', async () => {
    const open = (options: object): Promise<BackupGroup> =>
      openTestGroup({ secondary: { directory: temporaryDirectory() }, ...options })
    const refused = (option: string) => ({ code: 'TIDEMARK_OPTIONS', details: { option } })
    await expect(open({ spoolLimitBytes: 2 ** 20 })).rejects.toMatchObject(refused('spoolLimitBytes'))
    await expect(open({ spoolDirectory: '' })).rejects.toMatchObject(refused('spoolDirectory'))
    await expect(open({ spoolDirectory: 7 })).rejects.toMatchObject(refused('spoolDirectory'))
    const spoolDirectory = temporaryDirectory()
    await expect(open({ spoolDirectory, spoolLimitBytes: 100 })).rejects.toMatchObject(refused('spoolLimitBytes'))
    await expect(open({ spoolDirectory, secondary: 'discard' })).rejects.toMatchObject(refused('spoolDirectory'))
    expect(() => stallSecondary({} as BackupGroup)).toThrow(/not a group/)
    const group = await open({})
    expect(() => stallSecondary(group, -1)).toThrow(/ms must be milliseconds/)
    await expect(failSpool(group)).rejects.toMatchObject(refused('spoolDirectory'))
  })

  test('one group at a time has a spool; the secondary of the other one is left free', async () => {
    const spoolDirectory = temporaryDirectory()
    const directory = temporaryDirectory()
    const group = await openTestGroup({ secondary: { directory: temporaryDirectory() }, spoolDirectory })
    const second = openTestGroup({ secondary: { directory }, spoolDirectory })
    await expect(second).rejects.toMatchObject({ code: 'TIDEMARK_LOCKED' })
    await group.close()
    const third = await openTestGroup({ secondary: { directory }, spoolDirectory })
    await third.close()
  })
})

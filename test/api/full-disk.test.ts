/** Real disks without room: of the secondary, of the spool. On a file system of their own, where one may be mounted. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { stallSecondary } from '../../src/chaos.ts'
import type { BackupGroup, PressureReport, TidemarkError } from '../../src/index.ts'
import { imageOf, openTestGroup, temporaryDirectory } from './support.ts'

const MIB = 2 ** 20
const VOLUME_BYTES = 8 * MIB
const BLOCK_BYTES = 16_384
const BLOCKS = VOLUME_BYTES / BLOCK_BYTES

function mount(directory: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory], { stdio: 'pipe' })
}

/** A small disk; `grow` makes room on it. */
function smallDisk(mebibytes: number): { directory: string; grow(): void } {
  const directory = path.join(temporaryDirectory(), 'disk')
  mkdirSync(directory)
  mount(directory, `size=${mebibytes}m`)
  onTestFinished(() => void execFileSync('umount', ['-l', directory]))
  return { directory, grow: () => mount(directory, 'remount,size=256m') }
}

const canMount = ((): boolean => {
  const probe = mkdtempSync(path.join(tmpdir(), 'tidemark-mount-'))
  try {
    mount(probe, 'size=1m')
    execFileSync('umount', [probe])
    return true
  } catch {
    return false
  } finally {
    rmdirSync(probe)
  }
})()

/** Writes rounds of blocks, each awaited, until told to stop. Returns how many blocks it has written. */
function keepWriting(group: BackupGroup) {
  const writer = group.openSource('writer').volume('v')
  let isOver = false
  let written = 0
  const done = (async () => {
    while (!isOver) {
      const block = Buffer.alloc(BLOCK_BYTES, 1 + (written % 251))
      await writer.write((written % BLOCKS) * BLOCK_BYTES, block)
      written++
    }
    return written
  })()
  return {
    written: () => written,
    stop: () => {
      isOver = true
      return done
    }
  }
}

function expectImage(directory: string, written: number): void {
  const image = imageOf(directory, 'v')
  const wrong: string[] = []
  for (let block = 0; block < BLOCKS; block++) {
    const last = block >= written ? -1 : block + Math.floor((written - 1 - block) / BLOCKS) * BLOCKS
    const wanted = last < 0 ? 0 : 1 + (last % 251)
    const bytes = image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
    if (bytes.some((byte) => byte !== wanted)) wrong.push(`block ${block}: ${bytes[0]} instead of ${wanted}`)
  }
  expect(wrong).toEqual([])
}

function listen(group: BackupGroup) {
  const warnings: TidemarkError[] = []
  const steps: PressureReport[] = []
  group.on('warning', (error) => warnings.push(error))
  group.on('pressure', (report) => steps.push(report))
  const next = (isIt: () => boolean, event: 'warning' | 'pressure' | 'set'): Promise<void> =>
    new Promise((resolve) => {
      if (isIt()) return resolve()
      const onEvent = (): void => {
        if (!isIt()) return
        group.off(event, onEvent)
        resolve()
      }
      group.on(event, onEvent)
    })
  return { warnings, steps, next }
}

describe.skipIf(!canMount)('a disk without room', () => {
  test('of the secondary: a warning that names the path, once; sources are paced; it goes on by itself', async () => {
    const { directory, grow } = smallDisk(6)
    const group = await openTestGroup({
      volumes: [{ name: 'v', size: VOLUME_BYTES }],
      componentMemoryBytes: 4 * MIB,
      secondary: { directory, components: 1 }
    })
    const { warnings, steps, next } = listen(group)
    const writing = keepWriting(group)
    await next(() => warnings.length > 0, 'warning')
    await next(() => steps.some(({ step, state }) => step === 'pace' && state === 'begin'), 'pressure')
    expect(warnings[0]).toMatchObject({ code: 'TIDEMARK_NO_SPACE' })
    const file = String(warnings[0]?.details.path)
    expect(file.startsWith(directory)).toBe(true)
    expect(warnings[0]?.message).toContain(file)
    expect(steps.find(({ step }) => step === 'pace')?.reason).toContain('the disk of the secondary has no room')
    const status = group.status()
    expect(status.state).toBe('running')
    expect(status.pressure).toMatchObject({ step: 'pace', noSpace: [file] })
    const { applied } = status.sets
    const before = writing.written()
    grow()
    await next(() => group.status().sets.applied > applied + 3, 'set')
    await next(() => writing.written() > before + 100, 'set')
    expect(group.status().pressure.noSpace).toEqual([])
    expect(warnings.map(({ code }) => code)).toEqual(['TIDEMARK_NO_SPACE'])
    const written = await writing.stop()
    await group.close()
    expectImage(directory, written)
  }, 60_000)

  test('of the spool: what it has no room for stays in memory, sources are paced; then it goes on', async () => {
    const spool = smallDisk(6)
    const directory = temporaryDirectory()
    const group = await openTestGroup({
      volumes: [{ name: 'v', size: VOLUME_BYTES }],
      componentMemoryBytes: 4 * MIB,
      secondary: { directory, components: 1 },
      spoolDirectory: spool.directory
    })
    const { warnings, steps, next } = listen(group)
    const stall = stallSecondary(group)
    const writing = keepWriting(group)
    await next(() => warnings.length > 0, 'warning')
    expect(warnings[0]).toMatchObject({ code: 'TIDEMARK_NO_SPACE' })
    expect(String(warnings[0]?.details.path).startsWith(spool.directory)).toBe(true)
    await next(() => steps.some(({ step, state }) => step === 'pace' && state === 'begin'), 'pressure')
    expect(steps.find(({ step }) => step === 'pace')?.reason).toContain('the disk of the spool has no room')
    const before = writing.written()
    spool.grow()
    await next(() => writing.written() > before + 500, 'set')
    expect(group.status().pressure).toMatchObject({ step: 'spool', noSpace: [] })
    stall.release()
    const written = await writing.stop()
    await group.close()
    expectImage(directory, written)
  }, 60_000)

  test('of both: the secondary takes what it can when it has room again, though the spool has none', async () => {
    const spool = smallDisk(3)
    const secondary = smallDisk(6)
    const group = await openTestGroup({
      volumes: [{ name: 'v', size: VOLUME_BYTES }],
      componentMemoryBytes: 4 * MIB,
      secondary: { directory: secondary.directory, components: 1 },
      spoolDirectory: spool.directory
    })
    const { warnings, next } = listen(group)
    const writing = keepWriting(group)
    await next(() => warnings.length > 1, 'warning')
    const before = writing.written()
    secondary.grow()
    await next(() => writing.written() > before + 500, 'set')
    const written = await writing.stop()
    await group.close()
    expectImage(secondary.directory, written)
  }, 60_000)
})

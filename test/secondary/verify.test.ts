import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { openSecondary } from '../../src/open-secondary.ts'
import { verifyDirectory } from '../../src/runtime/verify-directory.ts'
import { type BlocksJudged, judgeBlocks } from '../../src/secondary/judge-blocks.ts'
import type { VerifyProgress } from '../../src/types.ts'
import { bytesOf, flipByte, Rig, segmentOf, temporaryDirectory } from './support.ts'

const VOLUMES = [
  { name: 'a', size: 12_388 },
  { name: 'b', size: 40_000 }
]

/** Set 1 is applied: volume a is data but for a hole, b holds some at both ends of it. */
function started(): Rig {
  const rig = new Rig({ directory: temporaryDirectory(), volumes: VOLUMES })
  receive(rig, 1, () => {
    rig.write(1, 0, 1, 0, bytesOf(12_388, 1))
    rig.zero(1, 0, 2, 3000, 6000)
    rig.write(1, 1, 1, 0, bytesOf(500, 2))
    rig.write(1, 1, 2, 39_000, bytesOf(1000, 3))
  })
  rig.apply(1)
  return rig
}

function receive(rig: Rig, set: number, fill: () => void): void {
  rig.begin(set)
  fill()
  rig.sync()
  rig.commit(set, 4)
}

function judge(rig: Rig, volume: number): BlocksJudged {
  const { directory } = rig.directory.layout
  const { volumes } = rig.directory
  const ranges = [{ first: 0, count: 10 }]
  return judgeBlocks({ directory, volumes, volume, ranges, appliedAtBegin: 1, isLocked: true })
}

const directoryOf = (rig: Rig): string => rig.directory.layout.directory
const imageOf = (rig: Rig, volume: number): string => rig.directory.volumes[volume]?.path ?? ''

/** Everything that a directory holds. */
function contentOf(directory: string): Map<string, string> {
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  const files = names.filter((name) => fs.statSync(path.join(directory, name)).isFile())
  return new Map(files.map((name) => [name, fs.readFileSync(path.join(directory, name), 'latin1')]))
}

describe('a directory that nobody writes to', () => {
  test('is as it was written, and stays as it is', async () => {
    const rig = started()
    rig.kill()
    const before = contentOf(directoryOf(rig))
    const secondary = await openSecondary(directoryOf(rig), { readOnly: true })
    const report = await secondary.verify()
    await secondary.close()
    expect(report).toEqual({
      ok: true,
      set: 1,
      volumes: [
        { name: 'a', bytes: 12_388, differences: [] },
        { name: 'b', bytes: 40_000, differences: [] }
      ],
      journal: { bytes: expect.any(Number), problems: [] },
      history: { bytes: 0, problems: [] },
      checksums: 'compared',
      hasWriter: false
    })
    expect(report.journal?.bytes).toBeGreaterThan(14_000)
    expect(contentOf(directoryOf(rig))).toEqual(before)
    await expect(secondary.verify()).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
  })

  test('every flipped byte of an image is found in its block', () => {
    const volumes = [
      { name: 'small', size: 4196 },
      { name: 'larger', size: 40_000 }
    ]
    const rig = new Rig({ directory: temporaryDirectory(), volumes })
    receive(rig, 1, () => {
      rig.write(1, 0, 1, 50, bytesOf(4140, 1))
      rig.write(1, 1, 1, 39_000, bytesOf(1000, 3))
    })
    rig.apply(1)
    rig.kill()
    for (const [volume, { size }] of volumes.entries()) {
      const fd = fs.openSync(imageOf(rig, volume), 'r+')
      const byte = Buffer.alloc(1)
      for (let position = 0; position < size; position += volume === 0 ? 1 : 97) {
        fs.readSync(fd, byte, 0, 1, position)
        byte[0] = (byte[0] as number) ^ (1 << (position % 8))
        fs.writeSync(fd, byte, 0, 1, position)
        const block = Math.floor(position / 4096)
        const { wrong, undecided } = judge(rig, volume)
        if (undecided.length > 0 || wrong.length !== 1 || wrong[0]?.first !== block || wrong[0].count !== 1) {
          expect.fail(`byte ${position} of volume ${volume}: ${JSON.stringify({ wrong, undecided })}`)
        }
        byte[0] = (byte[0] as number) ^ (1 << (position % 8))
        fs.writeSync(fd, byte, 0, 1, position)
      }
      fs.closeSync(fd)
      expect(judge(rig, volume)).toMatchObject({ wrong: [], undecided: [] })
    }
  })

  test('differences are joined, to the end of the volume; a flipped checksum is one, too', async () => {
    const rig = started()
    rig.kill()
    for (const position of [5000, 8191, 12_387]) flipByte(imageOf(rig, 0), position)
    flipByte(imageOf(rig, 1), 20_000)
    // Of the region of volume b, which comes after that of a.
    flipByte(rig.directory.layout.checksums, 4096 + 4 * 2)
    const report = await verifyDirectory(directoryOf(rig), { isLocked: false })
    expect(report).toMatchObject({
      ok: false,
      volumes: [
        {
          differences: [
            { offset: 4096, length: 4096 },
            { offset: 12_288, length: 100 }
          ]
        },
        {
          differences: [
            { offset: 8192, length: 4096 },
            { offset: 16_384, length: 4096 }
          ]
        }
      ],
      journal: { problems: [] }
    })
  })

  test('an image that is too short, too long or missing', async () => {
    const rig = started()
    rig.kill()
    const differences = async () =>
      (await verifyDirectory(directoryOf(rig), { isLocked: false })).volumes[0]?.differences
    fs.appendFileSync(imageOf(rig, 0), 'xyz')
    expect(await differences()).toEqual([{ offset: 12_388, length: 3 }])
    fs.truncateSync(imageOf(rig, 0), 5000)
    expect(await differences()).toEqual([{ offset: 4096, length: 12_388 - 4096 }])
    fs.rmSync(imageOf(rig, 0))
    expect(await differences()).toEqual([{ offset: 0, length: 12_388 }])
  })

  test('a damaged journal and a damaged commit log are reported', async () => {
    const rig = started()
    receive(rig, 2, () => rig.write(2, 0, 1, 0, bytesOf(10, 4)))
    rig.kill()
    const segment = segmentOf(directoryOf(rig), 0)
    flipByte(segment, 700)
    flipByte(rig.directory.layout.commits, 20)
    const secondary = await openSecondary(directoryOf(rig), { readOnly: true })
    const report = await secondary.verify()
    expect(report.ok).toBe(false)
    const paths = report.journal?.problems.map((problem) => problem.path)
    expect(paths).toContain(segment)
    expect(paths).toContain(rig.directory.layout.commits)
    await secondary.close()
  })

  test('without checksums nothing is compared, and that is said', async () => {
    const rig = started()
    rig.kill()
    fs.rmSync(rig.directory.layout.checksums)
    expect(await verifyDirectory(directoryOf(rig), { isLocked: false })).toMatchObject({
      ok: false,
      checksums: 'missing'
    })
    await using secondary = await openSecondary(directoryOf(rig))
    expect(await secondary.verify()).toMatchObject({ ok: true, checksums: 'compared', hasWriter: false })
  })

  test('what cannot be read at all throws as elsewhere', async () => {
    const rig = started()
    rig.kill()
    const verify = () => verifyDirectory(directoryOf(rig), { isLocked: false })
    const { state, ceiling, checksums, format } = rig.directory.layout
    fs.truncateSync(checksums, 10)
    await expect(verify()).rejects.toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { path: checksums } })
    fs.rmSync(checksums)
    for (const slot of [0, 4096]) flipByte(ceiling, slot + 30)
    await expect(verify()).rejects.toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { path: ceiling } })
    for (const slot of [0, 4096]) flipByte(ceiling, slot + 30)
    fs.rmSync(state)
    await expect(verify()).rejects.toMatchObject({ code: 'TIDEMARK_CORRUPT' })
    fs.rmSync(format)
    await expect(verify()).rejects.toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { missing: true } })
  })
})

describe('a directory in which a crash left a set half applied', () => {
  /** Set 2 writes to the second and the third block of volume a, and has come half way; whether that was announced may be lost. */
  function crashed(announced: boolean): Rig {
    const rig = started()
    receive(rig, 2, () => rig.write(2, 0, 1, 8000, bytesOf(300, 4)))
    if (announced) rig.first.announce(2)
    const image = fs.readFileSync(imageOf(rig, 0)).fill(4, 8000, 8100)
    fs.writeFileSync(imageOf(rig, 0), image)
    return rig
  }

  test.each([true, false])('announced: %s; blocks that it touches are not judged, others are', async (announced) => {
    const rig = crashed(announced)
    rig.kill()
    const verify = () => verifyDirectory(directoryOf(rig), { isLocked: false })
    expect(await verify()).toMatchObject({ ok: true, set: 1, unfinishedSet: 2, hasWriter: false })
    flipByte(imageOf(rig, 0), 100)
    expect(await verify()).toMatchObject({
      ok: false,
      unfinishedSet: 2,
      volumes: [{ differences: [{ offset: 0, length: 4096 }] }, { differences: [] }]
    })
    flipByte(imageOf(rig, 0), 100)
    await using secondary = await openSecondary(directoryOf(rig))
    const report = await secondary.verify()
    expect(report).toMatchObject({ ok: true, set: 2 })
    expect(report).not.toHaveProperty('unfinishedSet')
  })

  test.each([true, false])('announced: %s; while its writer is there they are waited for', async (announced) => {
    const rig = crashed(announced)
    const options = { isLocked: false, patienceMs: 60 }
    await expect(verifyDirectory(directoryOf(rig), options)).rejects.toMatchObject({
      code: 'TIDEMARK_LOCKED',
      details: { blocks: 1 }
    })
    // It finishes the set, as one that began again in the place of a dead one.
    const told = { journaled: 2, applied: 1, committed: 2, announced: 2, marked: 1 }
    for (const store of rig.stores) store.resume(told)
    const verifying = verifyDirectory(directoryOf(rig), { isLocked: false })
    rig.apply(2)
    expect(await verifying).toMatchObject({ ok: true, set: 2, hasWriter: true })
    rig.close()
  })
})

describe('verifying', () => {
  test('tells how far it is, up to the end', async () => {
    const rig = started()
    rig.kill()
    const told: VerifyProgress[] = []
    await verifyDirectory(directoryOf(rig), { isLocked: false, onProgress: (progress) => told.push(progress) })
    const last = told.at(-1)
    expect(last?.bytes).toBe(last?.totalBytes)
    expect(last?.totalBytes).toBeGreaterThan(52_388)
    expect(last?.bytesPerSecond).toBeGreaterThan(0)
  })

  test('ends at once when it is aborted', async () => {
    const directory = temporaryDirectory()
    // Holes: hours of reading.
    const rig = new Rig({ directory, volumes: [{ name: 'huge', size: 2 ** 43 }] })
    rig.kill()
    const reason = new Error('enough')
    await expect(verifyDirectory(directory, { isLocked: false, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason
    )
    const abort = new AbortController()
    const onProgress = ({ bytes, totalBytes }: VerifyProgress) => {
      expect(bytes).toBeLessThan(totalBytes)
      if (bytes > 0) abort.abort(reason)
    }
    await expect(verifyDirectory(directory, { isLocked: false, signal: abort.signal, onProgress })).rejects.toBe(reason)
  })

  test('an error of the listener ends it', async () => {
    const rig = started()
    rig.kill()
    const onProgress = () => {
      throw new Error('of the listener')
    }
    await expect(verifyDirectory(directoryOf(rig), { isLocked: false, onProgress })).rejects.toThrow('of the listener')
  })

  test('works in a program that was given as text', async () => {
    const rig = started()
    rig.kill()
    const index = path.join(import.meta.dirname, '../../src/index.ts')
    const program = `import { openSecondary } from ${JSON.stringify(index)}
      await using secondary = await openSecondary(${JSON.stringify(directoryOf(rig))}, { readOnly: true })
      console.log(JSON.stringify(await secondary.verify()))`
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program])
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, set: 1 })
  })
})

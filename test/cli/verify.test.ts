import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openGroup, openSecondary } from '../../src/index.ts'
import { temporaryDirectory } from '../api/support.ts'
import { run } from './support.ts'

/** A secondary directory `copy` with an applied set, closed. */
async function made(): Promise<string> {
  const directory = temporaryDirectory()
  const secondary = { directory: path.join(directory, 'copy') }
  const group = await openGroup({
    volumes: [{ name: 'a', size: 20_000 }],
    secondary,
    componentMemoryBytes: 16 * 2 ** 20
  })
  const source = group.openSource('s')
  await source.volume('a').write(100, Buffer.alloc(9000, 7))
  await group.close()
  return directory
}

function damage(directory: string): void {
  const fd = fs.openSync(path.join(directory, 'copy/volumes/a.img'), 'r+')
  fs.writeSync(fd, Buffer.from([9]), 0, 1, 5000)
  fs.closeSync(fd)
}

describe('tidemark verify', () => {
  test('a directory that is as it was written: 0', async () => {
    const directory = await made()
    const { code, stdout, stderr } = await run(['verify', 'copy'], directory)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^set \d+: whole\n {2}volume a, 19\.5 KiB: as written\n {2}journal, .*: as written\n$/)
    const json = await run(['verify', 'copy', '--json'], directory)
    expect(json).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: true,
      volumes: [{ name: 'a', bytes: 20_000, differences: [] }]
    })
  })

  test('a damaged one: 6, and where', async () => {
    const directory = await made()
    damage(directory)
    const { code, stdout } = await run(['verify', 'copy'], directory)
    expect(code).toBe(6)
    expect(stdout).toContain('DAMAGED\n')
    expect(stdout).toContain('    4096 bytes at 4096\n')
    const json = await run(['verify', 'copy', '--json'], directory)
    expect(json.code).toBe(6)
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      volumes: [{ differences: [{ offset: 4096, length: 4096 }] }]
    })
  })

  test('without checksums: 1, and what makes them', async () => {
    const directory = await made()
    fs.rmSync(path.join(directory, 'copy/tidemark/checksums'))
    const { code, stdout } = await run(['verify', 'copy'], directory)
    expect(code).toBe(1)
    expect(stdout).toContain('tidemark recover')
    expect(await run(['recover', 'copy'], directory)).toMatchObject({ code: 0 })
    expect(await run(['verify', 'copy'], directory)).toMatchObject({ code: 0 })
  })

  test('nothing there: 4; not one of ours, or of another version, or no such option: 2; unreadable: 6', async () => {
    const directory = await made()
    expect(await run(['verify', 'other'], directory)).toMatchObject({ code: 4, stdout: '' })
    expect(await run(['verify'], directory)).toMatchObject({ code: 2 })
    expect(await run(['verify', 'copy', 'copy'], directory)).toMatchObject({ code: 2 })
    expect(await run(['verify', 'copy', '--what'], directory)).toMatchObject({ code: 2 })
    const format = path.join(directory, 'copy/tidemark/format.json')
    const text = fs.readFileSync(format, 'utf8')
    fs.writeFileSync(format, text.replace('"version": 1', '"version": 99'))
    expect((await run(['verify', 'copy'], directory)).code).toBe(2)
    fs.writeFileSync(format, '{')
    expect((await run(['verify', 'copy'], directory)).code).toBe(6)
  })

  test('--help', async () => {
    const { code, stdout } = await run(['verify', '--help'], temporaryDirectory())
    expect(code).toBe(0)
    expect(stdout).toContain('Exit codes')
  })
})

describe('tidemark recover', () => {
  test('shows what it is then; a locked one is 5, unless it is forced; nothing there is 4', async () => {
    const directory = await made()
    const opened = await openSecondary(path.join(directory, 'copy'))
    const locked = await run(['recover', 'copy'], directory)
    expect(locked.code).toBe(5)
    expect(locked.stderr).toContain('TIDEMARK_LOCKED')
    // A reader does not mind.
    expect(await run(['verify', 'copy'], directory)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('a writer')
    })
    const forced = await run(['recover', 'copy', '--force-unlock', '--json'], directory)
    expect(forced.code).toBe(0)
    expect(JSON.parse(forced.stdout)).toMatchObject({ clean: true, volumes: [{ name: 'a' }] })
    await opened.close()
    expect(await run(['recover', 'copy'], directory)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('clean')
    })
    expect((await run(['recover', 'other'], directory)).code).toBe(4)
  })
})

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseSet, parseTime } from '../../src/cli/restore.ts'
import { openGroup, type SetReport } from '../../src/index.ts'
import { run } from './support.ts'

const root = mkdtempSync(path.join(tmpdir(), 'tidemark-cli-'))
const reports: SetReport[] = []

/** Sets with 1, 2 and 3 in the volume; the second one has a name. */
beforeAll(async () => {
  const group = await openGroup({
    volumes: [{ name: 'v', size: 100 }],
    formationPeriodMs: 3600_000,
    secondary: { directory: path.join(root, 'copy'), history: { sets: 2 } }
  })
  const volume = group.openSource('s').volume('v')
  for (const value of [1, 2, 3]) {
    await volume.write(0, Buffer.of(value))
    const { set } = await group.closeSet(value === 2 ? { label: 'two' } : {})
    reports.push(await group.whenApplied(set))
  }
  await group.close()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const volumeIn = (out: string) => readFileSync(path.join(root, out, 'v.img'))[0]

describe('tidemark restore', () => {
  test('a set by its name, its number, a time; the last one', async () => {
    const [, second, third] = reports as [SetReport, SetReport, SetReport]
    const { writtenBytes: _, ...wanted } = second
    const named = await run(['restore', 'copy', '--to', 'out/named', '--set', 'two', '--json'], root)
    expect(named).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(named.stdout)).toEqual(wanted)
    expect(volumeIn('out/named')).toBe(2)
    expect(readdirSync(path.join(root, 'out/named'))).toEqual(['v.img'])

    const at = new Date(third.consistencyTime - 1).toISOString()
    const ways = [[], ['--set', String(second.set)], ['--time', at]]
    const ended = await Promise.all(ways.map((way, n) => run(['restore', 'copy', '--to', `out/${n}`, ...way], root)))
    expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(ways.map(() => [0, '']))
    expect(ways.map((_, n) => volumeIn(`out/${n}`))).toEqual([3, 2, 2])
    expect(ended[0]?.stdout).toContain(`set ${third.set}, consistent as of`)
  })

  test('exit codes: not kept, not there, bad usage; nothing is made', async () => {
    const [first] = reports as [SetReport]
    const cases: [number, string[]][] = [
      [4, ['copy', '--to', 'none', '--set', String(first.set)]],
      [4, ['elsewhere', '--to', 'none']],
      [2, ['copy']],
      [2, ['copy', '--to', 'none', '--set', '2', '--time', '5']],
      [2, ['copy', '--to', 'none', '--time', 'yesterday']],
      [2, ['copy', '--to', 'copy']]
    ]
    const ended = await Promise.all(cases.map(([, args]) => run(['restore', ...args], root)))
    expect(ended.map(({ code }) => code)).toEqual(cases.map(([code]) => code))
    expect(ended[0]?.stderr).toContain('is not kept')
    for (const { stdout } of ended) expect(stdout).toBe('')
    expect(readdirSync(root)).not.toContain('none')
  })

  test('numbers and names, dates and milliseconds', () => {
    expect([parseSet('12'), parseSet('v12'), parseSet('before-upgrade')]).toEqual([12, 'v12', 'before-upgrade'])
    expect(parseTime('1700000000123')).toBe(1700000000123)
    expect(parseTime('2026-01-02')).toBe(Date.UTC(2026, 0, 2))
    expect(parseTime('2026-01-02T03:04:05.678Z')).toBe(Date.UTC(2026, 0, 2, 3, 4, 5, 678))
    expect(parseTime('2026-01-02T03:04')).toBe(Date.UTC(2026, 0, 2, 3, 4))
    expect(parseTime('2026-01-02T03:04+01:00')).toBe(Date.UTC(2026, 0, 2, 2, 4))
    expect(() => parseTime('soon')).toThrow('--time takes')
  })
})

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type GroupOptions, openGroup, openSecondary, TidemarkError } from '../../src/index.ts'
import { imageOf, openTestGroup, temporaryDirectory } from './support.ts'

async function refusal(options: unknown): Promise<TidemarkError> {
  try {
    const group = await openGroup(options as GroupOptions)
    await group.close()
  } catch (error) {
    if (error instanceof TidemarkError) return error
    throw error
  }
  throw new Error('the options were accepted')
}

const volumes = [{ name: 'a', size: 100 }]

describe('opening', () => {
  test('bad options are refused by name', async () => {
    const good = { volumes, secondary: 'discard' }
    const bad: [string, unknown][] = [
      ['volumes', { ...good, volumes: [] }],
      ['volumes', { ...good, volumes: undefined }],
      ['volumes[1].name', { ...good, volumes: [...volumes, { name: 'a', size: 1 }] }],
      ['volumes[0].name', { ...good, volumes: [{ name: '../escape', size: 1 }] }],
      ['volumes[0].name', { ...good, volumes: [{ name: '/etc/passwd', size: 1 }] }],
      ['volumes[0].name', { ...good, volumes: [{ name: '.hidden', size: 1 }] }],
      ['volumes[0].name', { ...good, volumes: [{ name: '', size: 1 }] }],
      ['volumes[0].name', { ...good, volumes: [{ name: 'x'.repeat(129), size: 1 }] }],
      ['volumes[0].target', { ...good, volumes: [{ name: 'a', size: 1, target: 'x/y' }] }],
      ['volumes[0].size', { ...good, volumes: [{ name: 'a', size: -1 }] }],
      ['volumes[0].size', { ...good, volumes: [{ name: 'a', size: 1.5 }] }],
      ['components', { ...good, components: 1 }],
      ['components', { ...good, components: 65 }],
      ['mirrors', { ...good, components: 3, mirrors: 3 }],
      ['spares', { ...good, spares: -1 }],
      ['formationPeriodMs', { ...good, formationPeriodMs: 0 }],
      ['componentMemoryBytes', { ...good, componentMemoryBytes: 1000 }],
      ['componentMemoryBytes', { ...good, components: 40, mirrors: 39, componentMemoryBytes: 2 ** 20 }],
      ['ordering', { ...good, ordering: 'random' }],
      ['secondary', { ...good, secondary: 'somewhere' }],
      ['secondary', { volumes }],
      ['secondary.directory', { ...good, secondary: { directory: '' } }],
      ['secondary.confirm', { ...good, secondary: { directory: 'x', confirm: 'hoped' } }],
      ['secondary.components', { ...good, secondary: { directory: 'x', components: 0 } }],
      ['secondary.history', { ...good, secondary: { directory: 'x', history: 100 } }],
      ['secondary.history', { ...good, secondary: { directory: 'x', history: {} } }],
      ['secondary.history', { ...good, secondary: { directory: 'x', history: { sets: 3, ageMs: 1000 } } }],
      ['secondary.history.sets', { ...good, secondary: { directory: 'x', history: { sets: 0 } } }],
      ['secondary.history.ageMs', { ...good, secondary: { directory: 'x', history: { ageMs: 0.5 } } }],
      // Not there yet: refused rather than ignored.
      ['secondary.url', { ...good, secondary: { url: 'http://127.0.0.1:1' } }],
      ['mirrorContent', { ...good, mirrorContent: 'everything' }],
      ['refetch', { ...good, mirrorContent: 'metadata' }],
      ['lagTargetMs', { ...good, lagTargetMs: 19 }]
    ]
    for (const [option, options] of bad) {
      const error = await refusal(options)
      expect(error.code, option).toBe('TIDEMARK_OPTIONS')
      expect(error.details.option, error.message).toBe(option)
    }
  })

  test('a directory that cannot be written is refused with its path', async () => {
    const directory = path.join(temporaryDirectory(), 'file')
    writeFileSync(directory, 'not a directory')
    const error = await refusal({ volumes, secondary: { directory } })
    expect(error.code).toBe('TIDEMARK_OPTIONS')
    expect(error.message).toContain(directory)
  })

  test('reopening goes on with the identifiers; other volumes, a second opener are refused', async () => {
    const directory = temporaryDirectory()
    const first = await openTestGroup({ volumes, secondary: { directory } })
    const receipt = await first.openSource('s').volume('a').write(0, Buffer.from('one'))
    expect((await refusal({ volumes, secondary: { directory } })).code).toBe('TIDEMARK_LOCKED')
    await first.close()
    const second = await openTestGroup({ volumes, secondary: { directory } })
    const later = await second.openSource('s').volume('a').write(3, Buffer.from('two'))
    expect(later.set).toBeGreaterThan(receipt.set)
    await second.close()
    expect(imageOf(directory, 'a').subarray(0, 6).toString()).toBe('onetwo')
    expect((await refusal({ volumes: [{ name: 'a', size: 101 }], secondary: { directory } })).code).toBe(
      'TIDEMARK_MISMATCH'
    )
    const secondary = await openSecondary(directory, { readOnly: true })
    const report = await secondary.inspect()
    expect(report).toMatchObject({ clean: true, applying: null, group: 'group' })
    expect(report.appliedSet).toBeGreaterThanOrEqual(later.set)
    await secondary.close()
  })

  test('volumes may go to other names and directories', async () => {
    const directory = temporaryDirectory()
    const elsewhere = path.join(temporaryDirectory(), 'elsewhere')
    mkdirSync(elsewhere)
    const group = await openTestGroup({
      volumes: [
        { name: 'a', size: 10, target: 'renamed' },
        { name: 'b', size: 10, directory: elsewhere }
      ],
      secondary: { directory }
    })
    const source = group.openSource('s')
    await source.transaction([
      { volume: 'a', offset: 0, data: Buffer.from('to a') },
      { volume: 'b', offset: 0, data: Buffer.from('to b') }
    ])
    await group.whenApplied()
    expect(imageOf(directory, 'renamed').subarray(0, 4).toString()).toBe('to a')
    expect(existsSync(path.join(directory, 'volumes', 'b.img'))).toBe(false)
    await group.close()
    const found = readdirSync(elsewhere, { recursive: true }).map(String)
    expect(found.some((name) => name.endsWith('b.img'))).toBe(true)
  })

  test('sources: names are unique among open ones, components exist', async () => {
    const group = await openTestGroup()
    group.openSource('s')
    expect(() => group.openSource('s')).toThrow(/open source/)
    expect(() => group.openSource('a/b')).toThrow(TidemarkError)
    expect(() => group.openSource('t', { component: 3 })).toThrow(/no component 3/)
    expect(() => group.openSource('t', { ringBytes: 1 })).toThrow(TidemarkError)
    expect(() => group.heldUpdates(9)).toThrow(/no component 9/)
    const receipt = await group.openSource('t', { component: 2 }).volume('a').write(0, Buffer.of(1))
    expect(receipt.holders).toContain(2)
  })

  test('the process ends by itself after close: no thread, no timer, no open file is left', () => {
    const directory = temporaryDirectory()
    const script = `
      import { openGroup } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
      import { readdirSync, readlinkSync } from 'node:fs'
      const filesBefore = readdirSync('/proc/self/fd').length
      const group = await openGroup({ volumes: [{ name: 'a', size: 1000 }], secondary: { directory: ${JSON.stringify(directory)} } })
      const source = group.openSource('s')
      await source.volume('a').write(0, Buffer.from('x'))
      await group.close()
      const files = readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd) } catch { return '' } })
      const left = process.getActiveResourcesInfo().filter((name) => !/TTY|Pipe|FSReq/.test(name))
      console.log(JSON.stringify({ left, open: files.filter((name) => name.startsWith(${JSON.stringify(directory)})) }))
    `
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 })
    expect(JSON.parse(out.toString())).toEqual({ left: [], open: [] })
  })

  test.each([
    ['a file', (script: string) => ['--max-old-space-size=512', '--trace-uncaught', script]],
    ['a file, with --import', (script: string) => ['--stack-size=900', '--import', 'data:text/javascript,', script]],
    [
      'an argument',
      (script: string) => ['--max-old-space-size=512', '--input-type=module', '-e', `import '${script}'`]
    ],
    [
      'an argument after --import',
      (script: string) => ['--import', 'data:text/javascript,', '-e', `import('${script}')`]
    ]
  ])('whatever arguments the process has: its script is %s', (_, argumentsFor) => {
    const script = path.join(temporaryDirectory(), 'program.mjs')
    const source = JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)
    writeFileSync(
      script,
      `import { openGroup } from ${source}
      const group = await openGroup({ volumes: [{ name: 'a', size: 1000 }], secondary: 'discard' })
      await group.openSource('s').volume('a').write(0, Buffer.from('x'))
      await group.close()
      console.log('closed')`
    )
    expect(execFileSync(process.execPath, argumentsFor(script), { timeout: 20_000 }).toString()).toBe('closed\n')
  })
})

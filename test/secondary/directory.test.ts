import fs from 'node:fs'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { TidemarkError } from '../../src/errors.ts'
import { openSecondary } from '../../src/open-secondary.ts'
import { type DirectoryOptions, openDirectory, openExistingDirectory } from '../../src/secondary/directory.ts'
import { layoutOf } from '../../src/secondary/format.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { StateFile } from '../../src/secondary/state.ts'
import { errorOf, temporaryDirectory } from './support.ts'

function optionsFor(directory: string): DirectoryOptions {
  return {
    directory,
    group: 'g',
    components: 2,
    volumes: [
      { name: 'a', size: 1 << 20 },
      { name: 'b', target: 'B-copy', size: 5 },
      { name: 'none', size: 0 }
    ]
  }
}

test('a new directory has sparse images of exactly the volumes sizes, full of zeros', () => {
  const directory = path.join(temporaryDirectory(), 'deep/er')
  openDirectory(optionsFor(directory)).close()
  const images = fs.readdirSync(path.join(directory, 'volumes')).sort()
  expect(images).toEqual(['B-copy.img', 'a.img', 'none.img'])
  const sizes = images.map((name) => fs.statSync(path.join(directory, 'volumes', name)).size)
  expect(sizes).toEqual([5, 1 << 20, 0])
  expect(fs.statSync(path.join(directory, 'volumes/a.img')).blocks).toBe(0)
  expect(inspectDirectory(directory)).toEqual({
    group: 'g',
    clean: true,
    appliedSet: 0,
    applying: null,
    securedSet: 0,
    consistencyTime: null,
    volumes: [
      { name: 'a', size: 1 << 20, path: path.join(directory, 'volumes/a.img') },
      { name: 'B-copy', size: 5, path: path.join(directory, 'volumes/B-copy.img') },
      { name: 'none', size: 0, path: path.join(directory, 'volumes/none.img') }
    ],
    history: []
  })
})

test('set identifiers go on after the ceiling, used or not', () => {
  const directory = temporaryDirectory()
  const first = openDirectory(optionsFor(directory))
  expect(first.lastSet).toBe(0)
  first.raiseCeiling(64)
  first.raiseCeiling(10)
  expect(first.lastSet).toBe(0)
  first.close()
  const second = openDirectory(optionsFor(directory))
  expect(second.lastSet).toBe(64)
  second.raiseCeiling(2 ** 40)
  second.close()
  const third = openDirectory(optionsFor(directory))
  expect(third.lastSet).toBe(2 ** 40)
  third.close()
})

describe('reopening', () => {
  const change = (
    edit: (options: { volumes: { name: string; target?: string; size: number }[]; group: string }) => void
  ) => {
    const directory = temporaryDirectory()
    openDirectory(optionsFor(directory)).close()
    const options = structuredClone(optionsFor(directory)) as Parameters<typeof edit>[0] & DirectoryOptions
    edit(options)
    return errorOf(() => openDirectory(options).close())
  }

  test.each([
    [
      'another size',
      { volume: 'B-copy', what: 'size', found: 5, wanted: 6 },
      1,
      { name: 'b', target: 'B-copy', size: 6 }
    ],
    [
      'another source',
      { volume: 'B-copy', what: 'name', found: 'b', wanted: 'c' },
      1,
      { name: 'c', target: 'B-copy', size: 5 }
    ],
    ['another target', { volume: 'b', what: 'volume', found: null, wanted: 'b' }, 1, { name: 'b', size: 5 }]
  ])('with %s is a mismatch that names it', (_what, difference, index, volume) => {
    const error = change((options) => {
      options.volumes[index] = volume
    })
    expect(error.code).toBe('TIDEMARK_MISMATCH')
    expect(error.details.differences).toContainEqual(difference)
    expect(error.message).toContain(difference.volume)
  })

  test('with a volume less, one more, another group is a mismatch', () => {
    expect(change((options) => options.volumes.pop()).details.differences).toEqual([
      { volume: 'none', what: 'volume', found: 'none', wanted: null }
    ])
    expect(change((options) => options.volumes.push({ name: 'x', size: 1 })).code).toBe('TIDEMARK_MISMATCH')
    const error = change((options) => {
      options.group = 'h'
    })
    expect(error).toMatchObject({
      code: 'TIDEMARK_MISMATCH',
      details: { differences: [{ what: 'group', found: 'g', wanted: 'h' }] }
    })
  })

  test('with another order or number of components is none, and the volumes keep their images', () => {
    const directory = temporaryDirectory()
    openDirectory(optionsFor(directory)).close()
    fs.writeFileSync(path.join(directory, 'volumes/B-copy.img'), 'hello')
    const options = optionsFor(directory)
    const again = openDirectory({ ...options, components: 3, volumes: [...options.volumes].reverse() })
    expect(again.volumes.map((volume) => path.basename(volume.path))).toEqual(['none.img', 'B-copy.img', 'a.img'])
    expect(again.storeOptions(2, [1])).toMatchObject({ component: 2, components: 3, keeps: [1], lastSet: 0 })
    again.close()
    expect(fs.readFileSync(path.join(directory, 'volumes/B-copy.img'), 'utf8')).toBe('hello')
    const third = openExistingDirectory(directory)
    expect(third.format.components).toBe(3)
    third.close()
  })
})

describe('directories of their own', () => {
  test('an image may lie elsewhere, found again through another way to it', () => {
    const root = temporaryDirectory()
    const elsewhere = path.join(root, 'disk/x')
    const options = (through: string): DirectoryOptions => ({
      directory: path.join(root, 's'),
      group: 'g',
      components: 1,
      volumes: [{ name: 'v', size: 3, directory: through }]
    })
    const first = openDirectory(options(elsewhere))
    expect(first.volumes[0]?.path).toBe(path.join(fs.realpathSync(root), 'disk/x/v.img'))
    first.close()
    fs.symlinkSync(path.join(root, 'disk'), path.join(root, 'link'))
    openDirectory(options(path.join(root, 'link/x'))).close()
    expect(errorOf(() => openDirectory(options(path.join(root, 'other')))).code).toBe('TIDEMARK_MISMATCH')
  })

  test('a file that is there already is not overwritten', () => {
    const root = temporaryDirectory()
    fs.writeFileSync(path.join(root, 'v.img'), 'precious')
    const options = {
      directory: path.join(root, 's'),
      group: 'g',
      components: 1,
      volumes: [{ name: 'v', size: 8, directory: root }]
    }
    const error = errorOf(() => openDirectory(options))
    expect(error).toMatchObject({ code: 'TIDEMARK_MISMATCH', details: { volume: 'v' } })
    expect(fs.readFileSync(path.join(root, 'v.img'), 'utf8')).toBe('precious')
    fs.rmSync(path.join(root, 'v.img'))
    openDirectory(options).close()
  })

  test('a directory whose making was cut short is made by the next opening', () => {
    const directory = temporaryDirectory()
    openDirectory(optionsFor(directory)).close()
    const layout = layoutOf(directory)
    fs.renameSync(layout.format, layout.unfinished)
    fs.rmSync(layout.state)
    fs.rmSync(path.join(directory, 'volumes/a.img'))
    expect(errorOf(() => inspectDirectory(directory)).details).toMatchObject({ missing: true })
    openDirectory(optionsFor(directory)).close()
    expect(inspectDirectory(directory).clean).toBe(true)
    expect(fs.statSync(path.join(directory, 'volumes/a.img')).size).toBe(1 << 20)
  })
})

describe('refused', () => {
  test.each(['', '.hidden', 'a/b', '..', 'a\0', 'ä', 'a b', 'x'.repeat(129)])('the name %j', (name) => {
    const directory = path.join(temporaryDirectory(), 's')
    const options = { directory, group: 'g', components: 1 }
    expect(errorOf(() => openDirectory({ ...options, volumes: [{ name, size: 1 }] })).code).toBe('TIDEMARK_OPTIONS')
    expect(errorOf(() => openDirectory({ ...options, volumes: [{ name: 'v', target: name, size: 1 }] })).code).toBe(
      'TIDEMARK_OPTIONS'
    )
    expect(errorOf(() => openDirectory({ ...options, group: name, volumes: [] })).code).toBe('TIDEMARK_OPTIONS')
    expect(fs.existsSync(directory)).toBe(false)
  })

  test('two volumes with one target, also where they differ in case only', () => {
    const directory = temporaryDirectory()
    for (const target of ['t', 'T']) {
      const volumes = [
        { name: 'a', target: 't', size: 1 },
        { name: 'b', target, size: 1 }
      ]
      const error = errorOf(() => openDirectory({ directory, group: 'g', components: 1, volumes }))
      expect(error).toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { volumes: ['a', 'b'] } })
    }
  })

  test('a directory that cannot be made, with the path and the reason', () => {
    const file = path.join(temporaryDirectory(), 'file')
    fs.writeFileSync(file, '')
    const error = errorOf(() => openDirectory(optionsFor(path.join(file, 'sub'))))
    expect(error).toMatchObject({ code: 'TIDEMARK_OPTIONS', details: { errno: 'ENOTDIR' } })
    expect(error.details.path).toContain(file)
    expect(error.cause).toBeInstanceOf(Error)
  })

  test.runIf(process.platform === 'linux')('a directory that cannot be written', () => {
    const error = errorOf(() => openDirectory(optionsFor('/proc/self/tidemark')))
    expect(error.code).toBe('TIDEMARK_OPTIONS')
    expect(error.details.path).toContain('/proc/self/tidemark')
  })

  test('another version, by all who open, before anything is changed', async () => {
    const directory = temporaryDirectory()
    openDirectory(optionsFor(directory)).close()
    const { format } = layoutOf(directory)
    fs.writeFileSync(format, fs.readFileSync(format, 'utf8').replace('"version": 1', '"version": 2'))
    const wanted = { code: 'TIDEMARK_VERSION', details: { version: 2 } }
    expect(errorOf(() => openDirectory(optionsFor(directory)))).toMatchObject(wanted)
    expect(errorOf(() => inspectDirectory(directory))).toMatchObject(wanted)
    await expect(openSecondary(directory)).rejects.toMatchObject(wanted)
    await expect(openSecondary(directory, { readOnly: true })).rejects.toMatchObject(wanted)
  })

  test('a directory that is missing, or not a secondary one: nothing is made in it', async () => {
    const directory = temporaryDirectory()
    fs.writeFileSync(path.join(directory, 'note'), 'mine')
    for (const place of [directory, path.join(directory, 'missing'), path.join(directory, 'note')]) {
      const wanted = { code: 'TIDEMARK_OPTIONS', details: { path: place, missing: true } }
      expect(errorOf(() => inspectDirectory(place))).toMatchObject(wanted)
      await expect(openSecondary(place)).rejects.toMatchObject(wanted)
      await expect(openSecondary(place, { readOnly: true })).rejects.toMatchObject(wanted)
    }
    expect(fs.readdirSync(directory)).toEqual(['note'])
  })

  test('a damaged format file', () => {
    const directory = temporaryDirectory()
    openDirectory(optionsFor(directory)).close()
    fs.writeFileSync(layoutOf(directory).format, '{"version": 1')
    expect(errorOf(() => inspectDirectory(directory)).code).toBe('TIDEMARK_CORRUPT')
  })
})

test('what a reader sees while another thread writes never goes back and is never torn', async () => {
  const file = path.join(temporaryDirectory(), 'state')
  StateFile.create(file)
  const url = new URL('../../src/secondary/state.ts', import.meta.url).href
  const program = `
    import(${JSON.stringify(url)}).then(({ StateFile }) => {
      const state = StateFile.open(${JSON.stringify(file)}, 'write')
      for (let set = 1; set <= 3000; set++) {
        state.announce(set)
        if (set % 8 === 0) state.mark(set, set * 10)
      }
      state.close()
    })`
  const writer = new Worker(program, { eval: true })
  let running = true
  const ended = new Promise<number>((resolve, reject) => {
    writer.once('error', reject)
    writer.once('exit', resolve)
  })
  void ended.finally(() => {
    running = false
  })
  const reader = StateFile.open(file, 'read')
  const seen = new Set<number>()
  let last = 0
  while (running) {
    for (let n = 0; n < 50; n++) {
      const { applying, appliedSet, appliedTime } = reader.refresh()
      const now = applying ?? appliedSet
      expect(now).toBeGreaterThanOrEqual(last)
      expect(now - appliedSet).toBeLessThanOrEqual(8)
      if (appliedSet > 0) expect(appliedTime).toBe(appliedSet * 10)
      last = now
      seen.add(now)
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await ended).toBe(0)
  expect(reader.refresh().appliedSet).toBe(3000)
  expect(seen.size).toBeGreaterThan(20)
  reader.close()
})

test('an error survives being posted as its record', () => {
  const error = new TidemarkError('TIDEMARK_NO_SPACE', 'full', { path: '/x', set: 4 }, { cause: new Error('ENOSPC') })
  const back = TidemarkError.fromRecord(structuredClone(error.toRecord()))
  expect(back).toBeInstanceOf(TidemarkError)
  expect(back).toMatchObject({
    code: 'TIDEMARK_NO_SPACE',
    message: 'full',
    details: { path: '/x', set: 4 },
    stack: error.stack
  })
  expect((back.cause as Error).message).toBe('ENOSPC')
})

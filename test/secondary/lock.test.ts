import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { openDirectory } from '../../src/secondary/directory.ts'
import { acquireLock, describeThisProcess, type LockHolder, provablyGone } from '../../src/secondary/lock.ts'
import { errorOf, temporaryDirectory } from './support.ts'

const here = describeThisProcess()

function lockFile(holder?: Partial<LockHolder>): string {
  const file = path.join(temporaryDirectory(), 'lock')
  if (holder !== undefined) fs.writeFileSync(file, JSON.stringify({ ...here, token: 'other', ...holder }))
  return file
}

/** A process that runs until it is ended, and what a lock of it would say. */
async function anotherProcess() {
  const url = new URL('../../src/secondary/lock.ts', import.meta.url).href
  const program = `import(${JSON.stringify(url)}).then((m) => console.log(JSON.stringify(m.describeThisProcess()))); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, holder: JSON.parse(line.toString()) as LockHolder }
}

test('held by one at a time, named to the others, free again when released', () => {
  const file = lockFile()
  const lock = acquireLock(file)
  const error = errorOf(() => acquireLock(file))
  expect(error).toMatchObject({
    code: 'TIDEMARK_LOCKED',
    details: { path: file, holder: { pid: process.pid, host: here.host } }
  })
  expect(error.message).toContain(`process ${process.pid} on ${here.host}`)
  lock.release()
  acquireLock(file).release()
  expect(fs.readdirSync(path.dirname(file))).toEqual([])
})

test('a live process keeps it, a killed one does not', async () => {
  const { child, holder } = await anotherProcess()
  try {
    const file = lockFile(holder)
    expect(errorOf(() => acquireLock(file))).toMatchObject({
      code: 'TIDEMARK_LOCKED',
      details: { holder: { pid: child.pid } }
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = acquireLock(file)
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid, token: lock.holder.token })
    lock.release()
  } finally {
    child.kill('SIGKILL')
  }
})

test('taken over only where the holder is provably gone', () => {
  expect(provablyGone(here, here)).toBe(false)
  expect(provablyGone({ ...here, host: 'elsewhere', pid: 2 ** 22 + 1 }, here)).toBe(false)
  expect(provablyGone({ ...here, pid: 2 ** 22 + 1 }, here)).toBe(true)
  // Without /proc, as on other systems, the process is asked for by its identifier alone.
  const bare = { ...here, boot: null, namespace: null, start: null }
  expect(provablyGone(bare, bare)).toBe(false)
  expect(provablyGone({ ...bare, pid: 2 ** 22 + 1 }, bare)).toBe(true)
  expect(provablyGone({ ...here, boot: null, pid: 2 ** 22 + 1 }, here)).toBe(false)
})

test.runIf(process.platform === 'linux')('another boot or start proves it, another process namespace does not', () => {
  expect(here.start).toMatch(/^\d+$/)
  expect(here.namespace).toMatch(/^pid:/)
  expect(provablyGone({ ...here, start: '1' }, here)).toBe(true)
  expect(provablyGone({ ...here, boot: 'before' }, here)).toBe(true)
  expect(provablyGone({ ...here, boot: 'before', host: 'elsewhere' }, here)).toBe(false)
  expect(provablyGone({ ...here, namespace: 'pid:[1]', pid: 2 ** 22 + 1 }, here)).toBe(false)
})

test('forced from whoever has it, whose release then takes nothing away', () => {
  const file = lockFile({ host: 'elsewhere' })
  expect(errorOf(() => acquireLock(file)).code).toBe('TIDEMARK_LOCKED')
  const first = acquireLock(file, { force: true })
  const second = acquireLock(file, { force: true })
  first.release()
  expect(errorOf(() => acquireLock(file)).code).toBe('TIDEMARK_LOCKED')
  second.release()
  expect(fs.existsSync(file)).toBe(false)
})

test('one that cannot be read is respected until forced', () => {
  const file = lockFile()
  fs.writeFileSync(file, '{"host": "x"')
  expect(errorOf(() => acquireLock(file))).toMatchObject({ code: 'TIDEMARK_LOCKED', details: { holder: null } })
  acquireLock(file, { force: true }).release()
})

test('a directory is locked while it is open', () => {
  const directory = temporaryDirectory()
  const options = { directory, group: 'g', components: 1, volumes: [{ name: 'v', size: 1 }] }
  const first = openDirectory(options)
  expect(errorOf(() => openDirectory(options)).code).toBe('TIDEMARK_LOCKED')
  const second = openDirectory({ ...options, force: true })
  second.close()
  first.close()
  openDirectory(options).close()
})

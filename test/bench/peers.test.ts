/** The group beside servers: what is checked holds, and nothing is left of them. How fast anything is is not looked at. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Check, isHeld } from '../../bench/checks.ts'
import { findProgram } from '../../bench/peers/program.ts'
import { ServerProcess } from '../../bench/peers/server-process.ts'
import type { PeersResult } from '../../bench/peers.ts'

const run = promisify(execFile)
const main = path.join(import.meta.dirname, '../../bench/main.ts')
const serverModule = path.join(import.meta.dirname, '../../bench/peers/server-process.ts')
const TIMEOUT_MS = 20_000

/** Programs that say that they run are started by this one. */
const NODE = process.execPath
const SERVER_CODE = `require('node:net').createServer().listen(0, '127.0.0.1', function () {
  console.log('ready at', this.address().port)
})`

/** Where temporary directories are made while a test runs. */
let temporary: string

beforeEach(async () => {
  temporary = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'))
})

afterEach(() => rm(temporary, { recursive: true, force: true }))

interface Document {
  readonly peers: PeersResult
  readonly checks: Check[]
  readonly ok: boolean
}

async function bench(searchPath: string): Promise<{ output: string; document: Document }> {
  const json = path.join(temporary, 'result.json')
  const args = [main, 'peers', '--quick', '--sizes', '64', '--json', json]
  const env = { ...process.env, PATH: searchPath, TMPDIR: temporary }
  const { stdout } = await run(NODE, args, { env, timeout: TIMEOUT_MS })
  return { output: stdout, document: JSON.parse(await readFile(json, 'utf8')) }
}

function waysOf({ peers }: Document): string[] {
  return peers.sizes.flatMap(({ ways }) => ways.map(({ rate }) => rate.name))
}

/** Rather than whether there is a process of that number: one that was killed stays until somebody asks how it ended. */
function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

describe('npm run bench -- peers --quick --sizes 64', () => {
  test('programs that are not installed are left out with a line', { timeout: TIMEOUT_MS }, async () => {
    const { output, document } = await bench('')
    const lines = [
      'left out: redis-server is not on the PATH (apt-get install redis-server)',
      'left out: nats-server is not on the PATH (apt-get install nats-server, which puts it into /usr/sbin)'
    ]
    expect(document.peers.leftOut).toEqual(lines)
    for (const line of lines) expect(output.split(line)).toHaveLength(2)
    expect(waysOf(document)).toEqual(['group of 4', 'postMessage'])
    // Updates and bytes of the group; count and checksum of postMessage.
    expect(document.checks).toHaveLength(4)
    expect(document.checks.filter((check) => !isHeld(check))).toEqual([])
    expect(document.ok).toBe(true)
    expect(output).toMatch(/times postMessage: [\d.]+ \(wanted: at least 15\) (PASS|missed)/)
    expect(output).not.toContain('times Redis stream')
  })

  test('servers have counted what was posted, and are ended', { timeout: TIMEOUT_MS }, async ({ skip }) => {
    const [redis, nats] = await Promise.all([findProgram('redis-server'), findProgram('nats-server')])
    if (redis === undefined) console.warn('NOT TESTED: redis-server is not on the PATH')
    if (nats === undefined) console.warn('NOT TESTED: nats-server is not on the PATH')
    skip(redis === undefined && nats === undefined, 'neither redis-server nor nats-server is on the PATH')
    const { output, document } = await bench(process.env.PATH ?? '')
    const present = document.peers.programs.map(({ name }) => name)
    const counters = document.checks.filter(({ name }) => name.includes('updates counted by'))
    const expected = [
      ...(present.includes('redis-server')
        ? ['Redis stream, 64 B: updates counted by the primary', 'Redis stream, 64 B: updates counted by the replica']
        : []),
      ...(present.includes('nats-server') ? ['NATS JetStream, 64 B: updates counted by nats-server'] : [])
    ]
    expect(counters.map(({ name }) => name)).toEqual(expected)
    for (const check of counters) expect(check.expected).toBeGreaterThan(0)
    expect(document.checks.filter((check) => !isHeld(check))).toEqual([])
    expect(document.ok).toBe(true)
    expect(present.length + document.peers.leftOut.length).toBe(2)
    expect(waysOf(document)).toHaveLength(2 + present.length)
    for (const { ways } of document.peers.sizes) {
      for (const { rate, groupTimes } of ways)
        for (const figure of [rate.median, groupTimes]) expect(figure).toBeGreaterThan(0)
    }
    if (present.includes('redis-server')) expect(output).toMatch(/times Redis stream: [\d.]+ \(wanted: at least 10\)/)
    expect(await readdir(temporary)).toEqual(['result.json'])
  })

  test('a program that is too old is left out, too', { timeout: TIMEOUT_MS }, async () => {
    const folder = path.join(temporary, 'bin')
    await writeProgram(path.join(folder, 'redis-server'), 'Redis server v=6.0.16 sha=00000000:0')
    const { document } = await bench(folder)
    expect(document.peers.leftOut[0]).toMatch(/^left out: .*redis-server is 6\.0\.16, too old/)
    expect(waysOf(document)).toEqual(['group of 4', 'postMessage'])
  })

  test('a server that does not start is an error, and nothing is left', { timeout: TIMEOUT_MS }, async () => {
    const folder = path.join(temporary, 'bin')
    await writeProgram(path.join(folder, 'redis-server'), 'Redis server v=7.0.15')
    const failing = bench(folder)
    await expect(failing).rejects.toMatchObject({ code: 1 })
    await expect(failing).rejects.toThrow(/redis-server has ended with code 0. It printed:\nRedis server v=7.0.15/)
    expect(await readdir(temporary)).toEqual(['bin'])
  })
})

/** One that prints this line, whatever it is asked. */
async function writeProgram(file: string, line: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, `#!${NODE}\nconsole.log(${JSON.stringify(line)})\n`)
  await chmod(file, 0o755)
}

describe('a program', () => {
  test('is found in the first folder that has it, with its version', async () => {
    const [first, second, third] = ['first', 'second', 'third'].map((name) => path.join(temporary, name))
    await mkdir(path.join(first as string, 'nats-server'), { recursive: true })
    await writeProgram(path.join(second as string, 'nats-server'), 'nats-server: v2.9.10')
    await writeProgram(path.join(third as string, 'nats-server'), 'nats-server: v2.12.1')
    const searchPath = ['', first, second, third].join(path.delimiter)
    const file = path.join(second as string, 'nats-server')
    expect(await findProgram('nats-server', searchPath)).toEqual({ name: 'nats-server', file, version: '2.9.10' })
    expect(await findProgram('redis-server', searchPath)).toBeUndefined()
    await chmod(file, 0o644)
    expect((await findProgram('nats-server', searchPath))?.version).toBe('2.12.1')
  })
})

describe('a server process', () => {
  beforeEach(() => {
    vi.stubEnv('TMPDIR', temporary)
    return () => vi.unstubAllEnvs()
  })

  test('is ready when it has printed so, and leaves nothing when it is ended', async () => {
    const server = await ServerProcess.start({ file: NODE, args: () => ['-e', SERVER_CODE], ready: /ready at (\d+)/ })
    const port = Number(server.ready[1])
    expect(await readdir(temporary)).toEqual([path.basename(server.directory)])
    expect(await isListening(port)).toBe(true)
    await server.end()
    expect(await isListening(port)).toBe(false)
    expect(await readdir(temporary)).toEqual([])
    expect(process.listeners('exit').some(({ name }) => name === 'endAll')).toBe(false)
  })

  test('that ends before it is ready tells what it printed', async () => {
    const args = (): string[] => ['-e', "console.error('no room'); process.exit(3)"]
    const starting = ServerProcess.start({ file: NODE, args, ready: /ready/ })
    await expect(starting).rejects.toThrow(/ended with code 3. It printed:\nno room/)
    expect(await readdir(temporary)).toEqual([])
  })

  test('that cannot be started at all is an error', async () => {
    const file = path.join(temporary, 'none')
    await expect(ServerProcess.start({ file, args: () => [], ready: /ready/ })).rejects.toThrow('ENOENT')
    expect(await readdir(temporary)).toEqual([])
  })

  test.each([
    ['returns', 'process.exitCode = 0; setTimeout(() => process.exit(), 10)'],
    ['throws', "throw new Error('on purpose')"],
    ['is terminated', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)"]
  ])('ends with the process that started it, when that %s', async (_, ending) => {
    const code = `
      const { ServerProcess } = await import(${JSON.stringify(serverModule)})
      const args = () => ['-e', ${JSON.stringify(SERVER_CODE)}]
      const server = await ServerProcess.start({ file: process.execPath, args, ready: /ready at (\\d+)/ })
      process.stdout.write(server.ready[1])
      ${ending}`
    const started = run(NODE, ['--input-type=module', '-e', code], { timeout: TIMEOUT_MS })
    const { stdout } = await started.catch((error: { stdout: string }) => error)
    const port = Number(stdout)
    expect(port).toBeGreaterThan(0)
    // Killed, but it may take its time until it is gone.
    await vi.waitFor(async () => expect(await isListening(port)).toBe(false), { timeout: 5000 })
    expect(await readdir(temporary)).toEqual([])
  })
})

import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { notHung } from '../checks.ts'

export interface ServerSetting {
  /** A program's file. */
  readonly file: string
  readonly args: (directory: string) => readonly string[]
  /** What it has printed when it can be connected to. */
  readonly ready: RegExp
}

/** Of what it printed last, for an error. */
const OUTPUT_CHARACTERS = 4000

/**
 * A server with an empty temporary directory of its own. It ends with this process at the latest, unless that is ended by a
 * signal that cannot be caught. What it holds is worth nothing, so it is killed rather than asked.
 */
export class ServerProcess {
  readonly directory: string
  /** Where its output matched `ready`. */
  readonly ready: RegExpExecArray
  private readonly child: ChildProcess

  static async start({ file, args, ready }: ServerSetting): Promise<ServerProcess> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-peer-'))
    const child = spawn(file, args(directory), { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    watch(child, directory)
    try {
      const match = await notHung(`starting ${file}`, untilPrinted(child, ready))
      return new ServerProcess(child, directory, match)
    } catch (error) {
      endNow(child, directory)
      throw error
    }
  }

  private constructor(child: ChildProcess, directory: string, ready: RegExpExecArray) {
    this.child = child
    this.directory = directory
    this.ready = ready
  }

  async end(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) resolve()
      else this.child.once('exit', () => resolve())
    })
    this.child.kill('SIGKILL')
    await ended
    endNow(this.child, this.directory)
  }
}

/** @throws when it ends before, with what it printed */
function untilPrinted(child: ChildProcess, expected: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let output = ''
    const read = (chunk: Buffer): void => {
      // Its output is read as long as it runs: nobody else does, and it would wait for room some day.
      output = (output + chunk).slice(-OUTPUT_CHARACTERS)
      const match = expected.exec(output)
      if (match !== null) resolve(match)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      reject(new Error(`${child.spawnfile} has ended with ${signal ?? `code ${code}`}. It printed:\n${output}`))
    })
  })
}

/** All that run, with their directories. */
const running = new Map<ChildProcess, string>()
const CAUGHT = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function watch(child: ChildProcess, directory: string): void {
  if (running.size === 0) {
    process.on('exit', endAll)
    for (const signal of CAUGHT) process.on(signal, exitBySignal)
  }
  running.set(child, directory)
}

/** Synchronous: no promise is awaited any more when a process exits. */
function endNow(child: ChildProcess, directory: string): void {
  child.kill('SIGKILL')
  // It may have made a file between: then again.
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  running.delete(child)
  if (running.size > 0) return
  process.off('exit', endAll)
  for (const signal of CAUGHT) process.off(signal, exitBySignal)
}

function endAll(): void {
  for (const [child, directory] of running) endNow(child, directory)
}

/** A signal that nobody catches ends a process without 'exit'. */
function exitBySignal(signal: NodeJS.Signals): void {
  process.exit(128 + os.constants.signals[signal])
}

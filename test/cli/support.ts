import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { onTestFinished } from 'vitest'

const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts')

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The command, as a program of its own. `said` resolves when its stderr has a text. */
export interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  said(text: string): Promise<void>
}

export function start(args: readonly string[], directory: string): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    child.emit('said')
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  const said = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) await new Promise<void>((resolve) => child.once('said', () => resolve()))
  }
  return { process: child, ended, said }
}

export function run(args: readonly string[], directory: string): Promise<Ended> {
  return start(args, directory).ended
}

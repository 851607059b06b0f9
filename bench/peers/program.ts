import { execFile } from 'node:child_process'
import { access, constants, stat } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

/** A program of this machine. */
export interface Program {
  readonly name: string
  readonly file: string
  /** 7.0.15 */
  readonly version: string
}

/** @param searchPath  folders, as in PATH */
export async function findProgram(name: string, searchPath = process.env.PATH ?? ''): Promise<Program | undefined> {
  // An empty folder would be the current one, which holds no programs of the machine.
  for (const folder of searchPath.split(path.delimiter).filter((one) => one !== '')) {
    const file = path.join(folder, name)
    if (await isProgram(file)) return { name, file, version: await versionOf(file) }
  }
  return undefined
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}

/** 'Redis server v=7.0.15 sha=..', 'nats-server: v2.9.10' */
async function versionOf(file: string): Promise<string> {
  const { stdout } = await promisify(execFile)(file, ['--version'])
  const version = /\bv=?(\d+(\.\d+)*)/.exec(stdout)?.[1]
  if (version === undefined) throw new Error(`${file} --version tells no version: ${stdout}`)
  return version
}

// Installs the dependencies when node_modules does not hold what package-lock.json asks for; runs before the npm scripts
// of this repository. It runs on the machine's own Node.js (20 or later, Node 26 is one of the things it installs), writes
// to stderr only (`npm start --silent -- --json` owns stdout) and imports little: it is on the path of every npm script.

import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const lockPath = path.join(root, '.install-lock')
const heartbeatMs = 1_000
const staleAfterMs = 10_000
const pollMs = 200

const say = (text) => process.stderr.write(`tidemark: ${text}\n`)

/** The package manifests by place, or undefined where the file is missing or torn. */
function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8')).packages
  } catch {
    return undefined
  }
}

const includes = (list, value) => list === undefined || [list].flat().includes(value)

/**
 * Why an installation is needed, or undefined. npm writes node_modules/.package-lock.json last, after everything is in
 * place, so it is the stamp: an interrupted installation has none, and one by hand (`npm ci`) counts too.
 */
function whyMissing() {
  const wanted = readPackages('package-lock.json')
  if (wanted === undefined)
    throw new Error('package-lock.json is missing or unreadable: restore it from the repository')
  const present = readPackages('node_modules/.package-lock.json')
  if (present === undefined) return 'node_modules is missing or incomplete'
  for (const [place, entry] of Object.entries(wanted)) {
    if (place === '') continue
    const found = present[place]
    if (found === undefined) {
      // Optional packages are left out where they do not fit the machine; of those that do fit only Node.js matters here.
      const needed =
        !entry.optional ||
        (entry.bin?.node && includes(entry.os, process.platform) && includes(entry.cpu, process.arch))
      if (needed) return `${place} is missing`
    } else if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${place} is ${found.version}, package-lock.json wants ${entry.version}`
    }
  }
  return undefined
}

/** `npm ci` in the same npm that runs us. Development packages always, whatever NODE_ENV and the user's settings say. */
async function install() {
  const { spawn } = await import('node:child_process')
  const flags = [
    'ci',
    '--include=dev',
    '--include=optional',
    '--engine-strict=false',
    '--loglevel=error',
    '--no-fund',
    '--no-audit'
  ]
  const npm = process.env.npm_execpath
  // npm_node_execpath is the node that npm itself runs on; process.execPath may be in the node_modules that npm ci removes.
  const [command, args] = npm
    ? [process.env.npm_node_execpath ?? process.execPath, [npm, ...flags]]
    : [process.platform === 'win32' ? 'npm.cmd' : 'npm', flags]
  await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: command === 'npm.cmd' })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`npm ci failed (${signal ?? `exit code ${code}`}); its messages are above`))
    })
  })
}

function ageMs(file) {
  try {
    return Date.now() - fs.statSync(file).mtimeMs
  } catch {
    return undefined
  }
}

function tryLock() {
  try {
    fs.closeSync(fs.openSync(lockPath, 'wx'))
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  }
}

/** One installation at a time: the holder touches the file each second, one that is not touched was left by a crash. */
async function withLock(work) {
  let announced = false
  while (!tryLock()) {
    if ((ageMs(lockPath) ?? 0) > staleAfterMs) {
      fs.rmSync(lockPath, { force: true })
      continue
    }
    if (!announced) say('another installation is running here, waiting for it')
    announced = true
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  const heartbeat = setInterval(() => {
    try {
      fs.utimesSync(lockPath, new Date(), new Date())
    } catch {
      // Taken over after a long pause (a suspended machine); npm ci is repeatable, so go on.
    }
  }, heartbeatMs)
  const release = () => {
    clearInterval(heartbeat)
    fs.rmSync(lockPath, { force: true })
  }
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15]
  ]) {
    process.once(signal, () => {
      release()
      process.exit(128 + number)
    })
  }
  try {
    return await work()
  } finally {
    release()
  }
}

/** npm skips an optional package that it cannot fetch, without a word: see for ourselves that the scripts get their Node. */
function refuseOldNode() {
  const name = process.platform === 'win32' ? 'node.cmd' : 'node'
  if (fs.existsSync(path.join(root, 'node_modules', '.bin', name))) return
  const { node: required } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).engines
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [requiredMajor, requiredMinor] = required.replace('>=', '').split('.').map(Number)
  if (major > requiredMajor || (major === requiredMajor && minor >= requiredMinor)) return
  throw new Error(
    `no Node.js for ${process.platform}-${process.arch} came with the dependencies, and the one here is ${process.versions.node}: ` +
      `run \`npm ci\` again, or use Node.js ${required}`
  )
}

try {
  if (whyMissing() !== undefined) {
    await withLock(async () => {
      // Looked at again under the lock: whoever held it may have done the work.
      const reason = whyMissing()
      if (reason === undefined) return
      say(`installing dependencies with npm ci (${reason})`)
      await install()
      say('dependencies installed')
    })
  }
  refuseOldNode()
} catch (error) {
  say(`cannot install: ${error.message}`)
  process.exit(1)
}

// The package as a user gets it: packed, installed into an empty project, compiled against, run, and looked over by
// publint and are-the-types-wrong. Stops at the first problem. Run by `npm run check:package` (on Node 26).

import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'tidemark-package-'))
const project = path.join(work, 'project')

/** Runs a program of this repository or of the user's project; its output passes through, a failure ends the check. */
function run(command, args, cwd) {
  execFileSync(command, args, {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: cleanEnvironment(),
    shell: onWindows
  })
}

function capture(command, args, cwd) {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: onWindows
  })
}

const onWindows = process.platform === 'win32'

/** Without what the npm that runs us says about this run and this project; the machine's own settings stay. */
function cleanEnvironment() {
  const ours =
    /^npm_(?:package|lifecycle)_|^npm_config_(?:local_prefix|loglevel|json|workspaces?|omit|include|dry_run)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}

/** A user's programs, in test/package: the examples of the README, and a CommonJS one. */
const programs = ['embed.ts', 'primary-file.ts', 'failing.ts', 'require.cts']

const tool = (name) => path.join(root, 'node_modules', '.bin', name)
const installedVersion = (name) => readJson(path.join(root, 'node_modules', name, 'package.json')).version

function readJson(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8'))
}

function check(name, body) {
  console.log(`-- ${name}`)
  body()
}

function fail(text) {
  throw new Error(text)
}

/** Names of all installed packages of a project, however deep. */
function installedPackages(cwd) {
  return Object.keys(readJson(path.join(cwd, 'node_modules/.package-lock.json')).packages).map((place) =>
    place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)
  )
}

/** The Node.js that npm itself runs on, where it is older than the package allows: to see the refusal for real. */
function olderNode() {
  const candidate = process.env.npm_node_execpath
  if (candidate === undefined) return undefined
  const version = spawnSync(candidate, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim() ?? ''
  const [major, minor] = version.split('.').map(Number)
  return major < 22 || (major === 22 && minor < 19) ? { path: candidate, version } : undefined
}

function packAndCheck() {
  let tarball = ''
  check('npm pack', () => {
    const [packed] = parsePackReport(capture('npm', ['pack', '--json', '--silent', '--pack-destination', work], root))
    tarball = path.join(work, packed.filename)
    const names = packed.files.map((file) => file.path)
    const stray = names.filter(
      (name) => !/^(?:dist\/|src\/|(?:README|CHANGELOG)\.md$|LICENSE$|package\.json$)/.test(name)
    )
    if (stray.length > 0) fail(`the tarball holds files that users have no use for: ${stray.join(', ')}`)
    for (const wanted of [
      'dist/index.js',
      'dist/index.d.ts',
      'dist/chaos.js',
      'dist/chaos.d.ts',
      'dist/cli/main.js',
      'README.md',
      'CHANGELOG.md',
      'LICENSE'
    ]) {
      if (!names.includes(wanted)) fail(`the tarball lacks ${wanted}`)
    }
    console.log(`${names.length} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`)
  })
  check('publint', () => run(tool('publint'), ['run', tarball, '--strict'], work))
  check('are the types wrong', () =>
    run(tool('attw'), [tarball, '--profile', 'esm-only', '--no-color', '--no-emoji'], work)
  )

  check('install into an empty project', () => {
    fs.mkdirSync(project)
    fs.writeFileSync(
      path.join(project, 'package.json'),
      JSON.stringify({ name: 'embed', private: true, type: 'module' })
    )
    run('npm', ['install', '--no-fund', '--no-audit', '--loglevel=error', '--prefer-offline', tarball], project)
    const packages = installedPackages(project)
    const stray = packages.filter(
      (name) => /^node$|^node-(?:bin-)?(?:linux|darwin|win)/.test(name) || name.startsWith('@tidemark/')
    )
    if (stray.length > 0) fail(`a user would get our development tools: ${stray.join(', ')}`)
    console.log(packages.join(', '))
  })
  check("compile the README's examples", () => {
    const compiler = ['typescript', '@types/node'].map((name) => `${name}@${installedVersion(name)}`)
    run(
      'npm',
      ['install', '--save-dev', '--no-fund', '--no-audit', '--loglevel=error', '--prefer-offline', ...compiler],
      project
    )
    for (const name of programs) fs.copyFileSync(path.join(root, 'test/package', name), path.join(project, name))
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck', 'false']
    const target = [
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      '--rootDir',
      '.',
      '--outDir',
      'out'
    ]
    run(path.join(project, 'node_modules/.bin/tsc'), [...strict, ...target, ...programs], project)
  })
  check('run them', () => {
    for (const name of ['embed.js', 'primary-file.js', 'failing.js', 'require.cjs'])
      run(process.execPath, [path.join('out', name)], project)
    const command = path.join(project, 'node_modules/tidemark/dist/cli/main.js')
    run(process.execPath, [command, '--help'], project)
    run(process.execPath, [command, 'demo', 'package.json'], project)
  })

  const old = olderNode()
  if (old === undefined) {
    console.log('-- no older Node.js here: its refusal is not checked')
    return
  }
  check(`refuse Node.js ${old.version}`, () => {
    const expected = `tidemark needs Node.js 22.19.0 or newer, this is ${old.version}`
    const command = spawnSync(old.path, [path.join(project, 'node_modules/tidemark/dist/cli/main.js'), '--help'], {
      encoding: 'utf8'
    })
    if (command.status !== 2 || command.stdout !== '' || command.stderr !== `${expected}\n`) {
      fail(
        `the command should say one line and exit 2, but: exit ${command.status}\n${command.stdout}${command.stderr}`
      )
    }
    const imported = spawnSync(old.path, ['--input-type=module', '-e', "await import('tidemark')"], {
      cwd: project,
      encoding: 'utf8'
    })
    if (imported.status === 0 || !imported.stderr.includes(`Error: ${expected}`)) {
      fail(`importing should throw "${expected}", but: exit ${imported.status}\n${imported.stderr}`)
    }
    console.log(expected)
  })
}

/** Scripts that npm pack runs may print before the report. npm 12 gives an object by package name, npm 11 a list. */
function parsePackReport(output) {
  const report = JSON.parse(output.slice(output.search(/^[[{]/m)))
  return Array.isArray(report) ? report : Object.values(report)
}

try {
  packAndCheck()
  console.log('the package is fit to publish')
} catch (error) {
  console.error(`check:package failed: ${error.message}`)
  process.exitCode = 1
} finally {
  fs.rmSync(work, { recursive: true, force: true })
}

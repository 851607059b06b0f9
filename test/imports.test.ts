/**
 * The layers of src and what each may know (docs/architecture.md draws them). A place is a folder of src or, for a file
 * directly in src, its name. Imports of types count: they tie two layers together as well.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

interface Rule {
  /** Places that it may import, beside itself. */
  mayImport: string[]
  /** Packages and `node:` modules: 'none', or 'any' of them. */
  outside: 'none' | 'any'
  /** What its code (comments and plain strings left out) never contains. */
  never?: RegExp[]
}

const atomics = /\bAtomics\b/
const timeAndChance = [
  /\bDate\b/,
  /\bperformance\b/,
  /\bMath\.random\b/,
  /\bcrypto\b/,
  /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/,
  /\basync\b/,
  /\bawait\b/,
  /\bPromise\b/,
  /\bprocess\b/
]

const rules: Record<string, Rule> = {
  memory: { mayImport: ['errors.ts'], outside: 'any' },
  protocol: { mayImport: ['memory', 'errors.ts'], outside: 'none', never: [atomics, ...timeAndChance] },
  sim: { mayImport: ['memory', 'protocol', 'errors.ts'], outside: 'any', never: [atomics] },
  secondary: { mayImport: ['memory', 'protocol', 'errors.ts', 'types.ts'], outside: 'any', never: [atomics] },
  runtime: {
    mayImport: ['memory', 'protocol', 'secondary', 'errors.ts', 'options.ts', 'types.ts'],
    outside: 'any',
    never: [atomics]
  },
  primary: {
    mayImport: ['secondary', 'runtime', 'errors.ts', 'types.ts'],
    outside: 'any',
    never: [atomics]
  },
  // node-version.ts: the command refuses an old Node.js before it loads anything else.
  cli: { mayImport: ['index.ts', 'chaos.ts', 'node-version.ts'], outside: 'any', never: [atomics] }
}

/** Files directly in src compose the layers: they may import everything but these. */
const neverComposed = ['sim', 'cli']

/** Files directly in src that stand below all layers. */
const foundations = ['errors.ts', 'node-version.ts', 'types.ts']

interface SourceFile {
  /** Relative to src, with forward slashes. */
  name: string
  text: string
}

const commentOrString = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g

function withoutComments(text: string): string {
  return text.replace(commentOrString, (found) => (found.startsWith('/') ? ' ' : found))
}

/** Templates stay: they hold code. */
function withoutCommentsAndStrings(text: string): string {
  return text.replace(commentOrString, (found) => (found.startsWith('`') ? found : ' '))
}

/** The modules that a file names: import and export statements, import(), and modules started by URL. */
function importsOf(text: string): string[] {
  const statement = /\b(?:import|export)\b[^'"`;=()]*?\bfrom\s*['"]([^'"]+)['"]/g
  const bare = /\bimport\s*['"]([^'"]+)['"]/g
  const call = /\b(?:import|require)\s*\(\s*['"`]([^'"`]+)['"`]/g
  const url = /\bnew\s+URL\s*\(\s*['"`](\.[^'"`]+)['"`]\s*,\s*import\.meta\.url/g
  const code = withoutComments(text)
  return [statement, bare, call, url].flatMap((form) => Array.from(code.matchAll(form), (match) => match[1] ?? ''))
}

/** The place of a file of src: its folder, or the file itself. Undefined outside src. */
function placeOf(name: string): string | undefined {
  return name.startsWith('..') ? undefined : name.split('/')[0]
}

function violations(file: SourceFile): string[] {
  const place = placeOf(file.name) ?? ''
  const rule = rules[place]
  const inFolder = file.name.includes('/')
  if (inFolder && rule === undefined) return [`${file.name}: no rule for src/${place}, add one to test/imports.test.ts`]
  const found: string[] = []
  for (const imported of importsOf(file.text)) {
    if (!imported.startsWith('.')) {
      if (rule?.outside === 'none') found.push(`${file.name} imports ${imported}`)
      continue
    }
    const target = path.posix.join(path.posix.dirname(file.name), imported)
    const targetPlace = placeOf(target)
    if (!mayImport(place, rule, targetPlace)) found.push(`${file.name} imports ${target}`)
  }
  const code = withoutCommentsAndStrings(file.text)
  for (const pattern of rule?.never ?? []) {
    const match = pattern.exec(code)
    if (match !== null) found.push(`${file.name} contains ${match[0]}`)
  }
  return found
}

function mayImport(place: string, rule: Rule | undefined, target: string | undefined): boolean {
  if (target === undefined) return false
  if (target === place) return true
  if (rule !== undefined) return rule.mayImport.includes(target)
  if (foundations.includes(place)) return foundations.includes(target)
  return !neverComposed.includes(target)
}

function sourceFiles(): SourceFile[] {
  const src = path.join(import.meta.dirname, '../src')
  if (!existsSync(src)) return []
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ name: name.replaceAll('\\', '/'), text: readFileSync(path.join(src, name), 'utf8') }))
}

test('every file of src keeps to the layers', () => {
  const files = sourceFiles()
  expect(files.length).toBeGreaterThan(0)
  expect(files.flatMap(violations)).toEqual([])
})

describe('the check itself', () => {
  const cases: [name: string, text: string, violations: string[]][] = [
    ['memory/ring.ts', "import { a } from './layout.ts'\nimport { b } from '../errors.ts'", []],
    ['memory/ring.ts', "import { a } from '../protocol/set.ts'", ['memory/ring.ts imports protocol/set.ts']],
    ['memory/ring.ts', "import {\n  a,\n  b\n} from '../group.ts'", ['memory/ring.ts imports group.ts']],
    ['protocol/set.ts', "import type { A } from '../runtime/a.ts'", ['protocol/set.ts imports runtime/a.ts']],
    ['protocol/set.ts', "export * from '../runtime/a.ts'", ['protocol/set.ts imports runtime/a.ts']],
    ['protocol/set.ts', "import fs from 'node:fs'", ['protocol/set.ts imports node:fs']],
    ['protocol/set.ts', "import 'piscina'", ['protocol/set.ts imports piscina']],
    ['protocol/set.ts', 'Atomics.load(a, 0)', ['protocol/set.ts contains Atomics']],
    ['protocol/set.ts', 'const t = Date.now()', ['protocol/set.ts contains Date']],
    ['protocol/set.ts', 'async function f() {}', ['protocol/set.ts contains async']],
    ['protocol/set.ts', `const t = \`\${Date.now()}\``, ['protocol/set.ts contains Date']],
    ['protocol/set.ts', "// Date.now(), import './x'\n/* await */ const a = 'await Atomics'", []],
    ['protocol/update.ts', 'export const asynchronous = 1, lastUpdate = 2', []],
    ['runtime/a.ts', "new Worker(new URL('../sim/w.ts', import.meta.url))", ['runtime/a.ts imports sim/w.ts']],
    ['runtime/a.ts', "await import('../cli/main.ts')", ['runtime/a.ts imports cli/main.ts']],
    ['runtime/a.ts', "import { A } from 'piscina'\nimport { b } from '../secondary/b.ts'", []],
    ['secondary/a.ts', "import { b } from '../runtime/b.ts'", ['secondary/a.ts imports runtime/b.ts']],
    ['primary/a.ts', "import { b } from '../secondary/b.ts'", []],
    ['primary/a.ts', "import { b } from '../group.ts'", ['primary/a.ts imports group.ts']],
    ['sim/world.ts', "import { b } from '../runtime/b.ts'", ['sim/world.ts imports runtime/b.ts']],
    ['cli/main.ts', "import { b } from '../index.ts'\nimport c from './demo.ts'", []],
    ['cli/main.ts', "import { b } from '../chaos.ts'", []],
    ['cli/main.ts', "import { b } from '../failing.ts'", ['cli/main.ts imports failing.ts']],
    ['cli/main.ts', "import { b } from '../group.ts'", ['cli/main.ts imports group.ts']],
    ['cli/main.ts', "import { b } from '../../bench/b.ts'", ['cli/main.ts imports ../bench/b.ts']],
    ['group.ts', "import { b } from './runtime/b.ts'", []],
    ['group.ts', "import { b } from './sim/b.ts'", ['group.ts imports sim/b.ts']],
    ['errors.ts', "import { b } from './group.ts'", ['errors.ts imports group.ts']],
    ['newcomer/a.ts', '', ['newcomer/a.ts: no rule for src/newcomer, add one to test/imports.test.ts']]
  ]
  test.each(cases)('%s: %j', (name, text, expected) => {
    expect(violations({ name, text })).toEqual(expected)
  })
})

/** The page and the table that are made of what benchmarks wrote; figures here are made up. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tablesOf } from '../../bench/report/any-suite.ts'
import { logScale } from '../../bench/report/log-scale.ts'
import { markdownOf } from '../../bench/report/markdown.ts'
import { pageOf } from '../../bench/report/page.ts'
import { PALETTE } from '../../bench/report/palette.ts'
import { type Run, readRun } from '../../bench/report/runs.ts'
import { SUITES } from '../../bench/suites.ts'
import { DOCUMENT, FAILOVER_RESULT, GROUP_RESULTS, RESULTS, RING_RESULTS } from './report-documents.ts'

const run = promisify(execFile)
const main = path.join(import.meta.dirname, '../../bench/report/main.ts')

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-report-'))
})

afterAll(() => rm(directory, { recursive: true, force: true }))

/** As it would come out of a file. */
function runOf(results: Record<string, unknown>, document = DOCUMENT): Run {
  return { document, results: new Map(Object.entries(JSON.parse(JSON.stringify(results)))) }
}

async function write(name: string, content: unknown): Promise<string> {
  const file = path.join(directory, name)
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

/** Titles of charts, each of which has a drawing. */
function charts(page: string): (string | undefined)[] {
  const figures = page.match(/<figure>.*?<\/figure>/gs) ?? []
  for (const figure of figures) expect(figure).toMatch(/<div class="chart"[^>]*><svg [^>]*viewBox.*<path /s)
  return figures.map((figure) => /<figcaption>(.*?)<\/figcaption>/.exec(figure)?.[1])
}

/** Text of the cells of each row of a table. */
function rows(page: string): string[] {
  const found = page.match(/<tr>.*?<\/tr>/gs) ?? []
  return found.map((row) => [...row.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/gs)].map(([, cell]) => cell).join('|'))
}

describe('the page', () => {
  let page: string

  beforeAll(async () => {
    page = await pageOf([runOf(RESULTS)])
  })

  test('has a chart of everything that is compared', () => {
    expect(charts(page)).toEqual([
      'Through one ring',
      'Acknowledged by a group of 4',
      'The same by components of the group',
      'From put to acknowledged, 64 B',
      'From put to acknowledged, 512 B',
      'Processor time of an update',
      'Updates a second of 64 B',
      'Secured',
      'Applied',
      '4 KiB, terminate, a spare takes over, 1 mirror, 8 MiB held',
      '64 B, terminate, a spare takes over, 1 mirror, 8 MiB held',
      '4 KiB, hang, a spare takes over, 1 mirror, 8 MiB held',
      'Redundant again, memory nearly full at each kill'
    ])
  })

  test('says what each line of a chart is', () => {
    const legends = page.match(/<ul class="legend">.*?<\/ul>/gs) ?? []
    const names = legends.map((legend) => [...legend.matchAll(/<\/svg> (.*?)<\/li>/g)].map(([, name]) => name))
    expect(names[0]).toEqual(['tidemark', 'ringbuf.js', 'postMessage'])
    expect(names[1]).toEqual(['tidemark', 'bare path', 'postMessage'])
    expect(names[2]).toEqual(['64 B', '64 B, bare path', '4 KiB', '4 KiB, bare path'])
    expect(names[3]).toEqual(['tidemark at 10 %', 'bare path at 10 %', 'tidemark at 80 %', 'bare path at 80 %'])
    expect(names[5]).toEqual(['found', 'wanted: at most'])
    expect(names[6]).toEqual(['found', 'wanted: at least'])
    expect(names[9]).toEqual(['detected', 'reassigned', 'redundant'])
  })

  test('has the exact figures, as the benchmark prints them', () => {
    const found = rows(page)
    expect(found).toContain('64 B|tidemark|12.77 M/s|6.38 M/s .. 25.53 M/s|817 MB/s|78 ns|1.5 + 0.2|1.0')
    expect(found).toContain(
      '4 KiB|4|309 k/s|155 k/s .. 618 k/s|1.27 GB/s|78 ns|1.5 + 0.2|2.35 M/s|0.88|0.10|345 k/s|17.3|3 of 119'
    )
    expect(found).toContain('64 B|2|await write|105 us|158 us|210 us|420 us|525 us|248')
    expect(found).toContain('512 B|80 % (800 k/s)|tidemark|69.1 us|104 us|138 us|276 us|346 us|248||')
    expect(found).toContain('512 B|80 % (800 k/s)|bare path|55.2 us|82.8 us|110 us|221 us|276 us|248|1.25|1.37')
    expect(found).toContain('16 components|456 k/s|228 k/s .. 912 k/s|29 MB/s|78 ns|0.80|2.31|1.5 + 0.2|0 of 27')
    expect(found).toContain('redundant|11.76|17.64|23.52|58.80')
    expect(found).toContain('copied|3.92|5.88|7.84|19.60')
    expect(page).toContain('8 MiB held: until redundant, 3.00 times (p50), 3.00 times (p99) as long as this')
    expect(found).toContain('blocked|longest wait, posting on|25.91|25.91')
    expect(found).toContain('1 MiB|files|350|10.02|15.03|20.04|50.10|3.1|123 k/s|5714|5305')
    expect(page).toContain('medians: 8.3 MiB held by the one that died, 3668 updates, 8.3 MiB moved')
  })

  test('says when, where, how, whether all checks held', () => {
    expect(page).toContain('<dd>2026-11-25 03:47 UTC</dd>')
    expect(page).toContain(
      '<dd>2 cores, AMD &lt;EPYC&gt; &amp; others, linux x64; load average 0.3 before it began</dd>'
    )
    expect(page).toContain('<dd>v26.10.0</dd>')
    expect(page).toContain('<dd><code>npm run bench -- --quick</code></dd>')
    expect(page).toContain('<dd>all 1 held</dd>')
  })

  test('has what is wanted beside what was found', () => {
    expect(page).toContain('<p>2 of 3 met.</p>')
    expect(rows(page)).toContain(
      '<strong class="missed">missed</strong>|group|64 B, times postMessage|2.46|at least 15'
    )
    expect(rows(page)).toContain('met|group|4 KiB, times bare path|1.18|at least 0.8')
  })

  test('needs nothing else: no script, nothing from elsewhere', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|@font-face|javascript:|\son[a-z]+=/i)
    expect(page.match(/(?:src|href)="(?!#)[^"]*"/g)).toBeNull()
    expect(page.match(/url\((?!#)[^)]*\)/g)).toBeNull()
    const addresses = new Set(page.match(/https?:[^"]*/g))
    expect([...addresses].filter((address) => !address.startsWith('http://www.w3.org/'))).toEqual([])
  })

  test('draws in colours that have another one in dark', () => {
    const figures = page.match(/<figure>.*?<\/figure>/gs) ?? []
    const used = figures.flatMap((figure) => [...figure.matchAll(/(?:fill|stroke)="(#[^"]*|rgb[^"]*)"/g)])
    const known = new Set<string>(Object.values(PALETTE).map(({ light }) => light))
    // Cut out by, not drawn with.
    expect([...new Set(used.map(([, colour = '']) => colour))].filter((colour) => !known.has(colour))).toEqual(['#000'])
    expect(page.match(/(?<!<clipPath[^>]*>\n)<path [^>]*fill="#000"/g)).toBeNull()
  })

  test('has no name twice', () => {
    const names = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, name]) => name)
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('of what is in the files', () => {
  test('suites that are not there are left out, and named', async () => {
    const page = await pageOf([runOf({ ring: RING_RESULTS })])
    expect(charts(page)).toEqual(['Through one ring'])
    const left = page.slice(page.indexOf('<h2>Left out</h2>'))
    const others = SUITES.map(({ name }) => name).filter((name) => name !== 'ring')
    expect([...left.matchAll(/<li>(\w+):/g)].map(([, name]) => name)).toEqual(others)
    const all = Object.fromEntries(SUITES.map(({ name }) => [name, []]))
    expect(await pageOf([runOf({ ...all, ...RESULTS })])).not.toContain('Left out')
  })

  test('verdicts of other suites are not shown', async () => {
    const page = await pageOf([runOf({ ring: RING_RESULTS })])
    expect(page).toContain('<p>1 of 1 met.</p>')
    expect(rows(page)).toContain('met|ring|of the ring|1|at least 1')
  })

  test('groups of one size are not compared with each other', async () => {
    const page = await pageOf([runOf({ group: GROUP_RESULTS.filter(({ components }) => components === 2) })])
    expect(charts(page)).toEqual(['Acknowledged by a group of 2'])
  })

  test('the last file of a suite is shown, and each run that something is shown of', async () => {
    const [first, second, third] = ['one', 'two', 'three'].map((command) => ({ ...DOCUMENT, command }))
    const other = RING_RESULTS.map((result) => ({ ...result, lengthBytes: 512 }))
    const page = await pageOf([
      runOf({ ring: RING_RESULTS }, first),
      runOf({ ring: RING_RESULTS, group: GROUP_RESULTS }, second),
      runOf({ ring: other }, third)
    ])
    const section = page.slice(page.indexOf('<section id="ring">'), page.indexOf('<section id="group">'))
    expect(section).toContain('<td>512 B</td>')
    expect(section).not.toContain('<td>64 B</td>')
    expect([...page.matchAll(/<code>(.*?)<\/code>/g)].map(([, command]) => command)).toEqual(['three', 'two'])
    expect([...page.matchAll(/<dt>suites<\/dt><dd>(.*?)<\/dd>/g)].map(([, suites]) => suites)).toEqual([
      'ring',
      'group'
    ])
  })

  test('checks that did not hold are told', async () => {
    const checks = [...DOCUMENT.checks, { name: 'bytes <in> sets', expected: 1000, found: 999 }]
    const page = await pageOf([runOf(RESULTS, { ...DOCUMENT, checks, ok: false })])
    expect(page).toContain('1 of 2 did not hold')
    expect(page).toContain('<li>bytes &lt;in&gt; sets: 999 instead of 1000</li>')
  })

  test('text is text, whatever it says, in charts as well', async () => {
    const bad = '<script>alert("me")</script>'
    const variations = RESULTS.variations.map((result) => ({ ...result, name: bad }))
    const document = {
      ...DOCUMENT,
      command: bad,
      verdicts: [{ suite: 'variations', what: bad, found: bad, wanted: bad, isMet: true }]
    }
    const page = await pageOf([runOf({ variations, [bad]: [{ [bad]: bad }] }, document)])
    expect(page).not.toContain('<script')
    expect(page).not.toContain('"me"')
    expect(page.match(/<text [^>]*>&lt;script&gt;/)).not.toBeNull()
  })

  test('a suite without charts is a table', async () => {
    const flow = [
      { where: 'a disk', ms: 12.345678901, sets: 7 },
      { where: 'memory', ms: 1.5, sets: null }
    ]
    const page = await pageOf([runOf({ flow })])
    expect(charts(page)).toEqual([])
    expect(page).toContain('<section id="flow">')
    expect(rows(page)).toContain('where|ms|sets')
    expect(rows(page)).toContain('a disk|12.3457|7')
    expect(rows(page)).toContain('memory|1.5|null')
  })

  test('what a suite is about stands before its figures, where it is known', async () => {
    const page = await pageOf([runOf({ flow: [{ ms: 1 }], idle: [{ percent: 2.5 }] })])
    const idle = SUITES.find(({ name }) => name === 'idle')
    expect(page).toContain(`<h2>idle</h2>\n<p>${idle?.about}</p>`)
    expect(page).toContain('<h2>flow</h2>\n\n<div')
    expect(page.indexOf('id="flow"')).toBeGreaterThan(page.indexOf('id="idle"'))
  })

  test('a known suite with other fields than now is a table, too', async () => {
    const group = GROUP_RESULTS.map(({ bare, ...others }) => others)
    const page = await pageOf([runOf({ group })])
    expect(charts(page)).toEqual([])
    expect(page).toContain('No charts: ')
    expect(page).toContain('0.876')
  })

  test('a suite that measured nothing says so', async () => {
    expect(await pageOf([runOf({ ring: [] })])).toContain('<p>Nothing was measured.</p>')
  })

  test('figures that JSON has no number for do not keep the others from being drawn', async () => {
    const ring = RING_RESULTS.map((result) => ({
      ...result,
      rates: result.rates.map((rate, n) => ({ ...rate, median: n === 0 ? Number.NaN : rate.median }))
    }))
    expect(charts(await pageOf([runOf({ ring })]))).toEqual(['Through one ring'])
  })
})

describe('a table of a result that is not known', () => {
  const cells = (result: unknown): string[][] =>
    tablesOf('suite', JSON.parse(JSON.stringify(result))).flatMap(({ head, rows }) => [
      [...head],
      ...rows.map((row) => [...row])
    ])

  test('has the fields of objects within a row, and a row for each of a list', () => {
    const rates = [
      { name: 'a', median: 1 },
      { name: 'b', median: 2 }
    ]
    expect(cells([{ bytes: 64, setting: { mirrors: 1, on: true }, rates, rounds: [1, 2.5] }])).toEqual([
      ['bytes', 'setting mirrors', 'setting on', 'rates name', 'rates median', 'rounds'],
      ['64', '1', 'true', 'a', '1', '1, 2.5'],
      ['64', '1', 'true', 'b', '2', '1, 2.5']
    ])
  })

  test('is one for each list of an object, and one of what else is in it', () => {
    const result = {
      rows: [{ ms: 1 }],
      where: 'a disk',
      others: [{ ms: 2 }, { us: 3 }],
      setting: { sets: 4 },
      none: []
    }
    expect(cells(result)).toEqual([
      ['ms'],
      ['1'],
      ['ms', 'us'],
      ['2', ''],
      ['', '3'],
      ['what', 'found'],
      ['where', 'a disk'],
      ['setting sets', '4'],
      ['none', '']
    ])
  })

  test('is of any value', () => {
    expect(cells(7)).toEqual([['value'], ['7']])
    expect(cells(['a', 'b'])).toEqual([['value'], ['a'], ['b']])
    expect(cells(null)).toEqual([['value'], ['null']])
  })

  test('has text to the left and numbers to the right', () => {
    expect(tablesOf('suite', [{ name: 'a', kind: 'b', ms: 1, note: 'c' }]).map(({ left }) => left)).toEqual([2])
  })
})

describe('a logarithmic axis', () => {
  test('begins and ends at 1, 2 or 5 with zeros, around all values', () => {
    expect(logScale([3, 40])).toEqual({ low: 2, high: 50, ticks: [2, 5, 10, 20, 50] })
    expect(logScale([0.3])).toEqual({ low: 0.2, high: 0.5, ticks: [0.2, 0.5] })
    expect(logScale([1, 1])).toEqual({ low: 1, high: 2, ticks: [1, 2] })
    expect(logScale([9.5, 100])).toEqual({ low: 5, high: 100, ticks: [5, 10, 20, 50, 100] })
  })

  test('has lines at powers of ten only where others would be too many', () => {
    expect(logScale([70, 9e5])).toEqual({ low: 50, high: 1e6, ticks: [100, 1000, 10_000, 100_000, 1e6] })
  })

  test('has no place for what has no logarithm', () => {
    expect(logScale([0, -1, Number.NaN, 3])).toEqual(logScale([3]))
    expect(logScale([])).toEqual({ low: 1, high: 10, ticks: [1, 10] })
  })
})

describe('colours', () => {
  const { page, panel, line, ...drawn } = PALETTE

  test('are told apart by what is written in a drawing', () => {
    const light = Object.values(PALETTE).map((pair) => pair.light)
    expect(new Set(light).size).toBe(light.length)
  })

  test.each(['light', 'dark'] as const)('can be seen in %s', (scheme) => {
    for (const ground of [page, panel]) {
      for (const { [scheme]: colour } of Object.values(drawn)) {
        expect(contrast(colour, ground[scheme])).toBeGreaterThan(2.5)
      }
      for (const words of [PALETTE.text, PALETTE.quiet, PALETTE.missed, PALETTE.tidemark]) {
        expect(contrast(words[scheme], ground[scheme])).toBeGreaterThan(4.5)
      }
    }
  })

  /** By WCAG 2: 1 to 21. */
  function contrast(one: string, other: string): number {
    const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }

  function luminance(colour: string): number {
    const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    const [red = 0, green = 0, blue = 0] = parts.map((part) =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
})

describe('the table for the README', () => {
  test('has both sizes of updates, and where it was measured', () => {
    expect(markdownOf([runOf(RESULTS)]).split('\n')).toEqual([
      '|  | 64 B | 4 KiB |',
      '| --- | ---: | ---: |',
      '| acknowledged by a group of 4 | 309 k/s | 309 k/s |',
      '| times `postMessage` | 17.3 | 17.3 |',
      '| times the bare path | 0.88 | 0.88 |',
      '| redundant again after a death, p50 | 34.67 ms | 11.76 ms |',
      '| redundant again after a death, p99 | 69.34 ms | 23.52 ms |',
      '',
      '2026-11-25 03:47 UTC, 2 cores, AMD <EPYC> & others, linux x64, Node.js v26.10.0: `npm run bench -- --quick`',
      ''
    ])
  })

  test('has a dash for what was not measured, and a line for each run', () => {
    const small = GROUP_RESULTS.filter(({ lengthBytes }) => lengthBytes === 64)
    const [first, second] = ['one', 'two'].map((command) => ({ ...DOCUMENT, command }))
    const table = markdownOf([runOf({ group: small }, first), runOf({ failover: FAILOVER_RESULT }, second)])
    expect(table).toContain('| times `postMessage` | 17.3 | - |')
    expect(table).toContain(': `one`\n')
    expect(table).toContain(': `two`\n')
  })

  test('is refused where nothing of it was measured', () => {
    expect(() => markdownOf([runOf({ ring: RING_RESULTS })])).toThrow('neither group nor failover')
    expect(() => markdownOf([runOf({ failover: {} })])).toThrow('the results of failover are those of another version')
  })
})

describe('a file', () => {
  test('of before verdicts were written is read', async () => {
    const { verdicts, ...before } = DOCUMENT
    const { document, results } = await readRun(await write('before.json', { ...before, ring: RING_RESULTS }))
    expect(document.verdicts).toEqual([])
    expect([...results.keys()]).toEqual(['ring'])
    expect(await pageOf([{ document, results }])).toContain('nothing has a wanted figure')
  })

  test.each([
    ['not JSON', '{"environment":', 'is not JSON'],
    ['a list', [1, 2], 'was not written by'],
    ['null', 'null', 'was not written by'],
    ['text', '"text"', 'was not written by'],
    ['of another program', { results: [] }, 'was not written by'],
    ['without a machine', { ...DOCUMENT, environment: null, ring: [] }, 'was not written by'],
    ['without results', DOCUMENT, 'has no results']
  ])('that is %s is refused', async (_, content, message) => {
    const file = await write('bad.json', content)
    await expect(readRun(file)).rejects.toThrow(`${file} ${message}`)
  })

  test('that is not there, or none, is refused', async () => {
    await expect(readRun(path.join(directory, 'missing.json'))).rejects.toThrow('there is no file')
    await expect(readRun(directory)).rejects.toThrow('cannot be read')
  })
})

describe('npm run bench:report', () => {
  test('writes the page, and prints the table', async () => {
    const [ring, others] = [
      await write('ring.json', { ...DOCUMENT, ring: RING_RESULTS }),
      await write('others.json', { ...DOCUMENT, group: GROUP_RESULTS, failover: FAILOVER_RESULT })
    ]
    const out = path.join(directory, 'page.html')
    const { stdout, stderr } = await run(process.execPath, [main, ring, others, '--out', out, '--markdown'])
    expect(stdout).toContain('| acknowledged by a group of 4 |')
    expect(stderr).toMatch(/page\.html: ring, group, failover; \d+ KiB\n$/)
    expect(charts(await readFile(out, 'utf8'))).toHaveLength(7)
  })

  test('says in one line what is wrong, with exit code 2', async () => {
    const bad = await write('torn.json', '{')
    const cases: [string[], string][] = [
      [[], 'which file'],
      [[bad], 'is not JSON'],
      [['--wrong'], "Unknown option '--wrong'"],
      [
        [await write('good.json', { ...DOCUMENT, ring: [] }), '--out', path.join(directory, 'none/x.html')],
        'cannot be written'
      ]
    ]
    const failures = cases.map(async ([args, message]) => {
      const failed = await run(process.execPath, [main, ...args]).catch((error: unknown) => error)
      expect(failed).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(`bench:report: `) })
      expect((failed as { stderr: string }).stderr).toContain(message)
      expect((failed as { stderr: string }).stderr.trimEnd()).not.toContain('\n')
    })
    await Promise.all(failures)
  })
})

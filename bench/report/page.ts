/** The page: one HTML text that needs nothing else, neither a script nor the network. */
import { readFile } from 'node:fs/promises'
import { SUITES } from '../suites.ts'
import { describeRuns, describeVerdicts } from './head.ts'
import { html, Markup } from './html.ts'
import { paletteStyle } from './palette.ts'
import { lastOfEach, type Measured, type Run } from './runs.ts'
import { describeSuite } from './suite-section.ts'

const STYLE_FILE = new URL('page.css', import.meta.url)
/** Were there something in it that asks for more, a browser would not fetch it. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'"

export async function pageOf(runs: readonly Run[]): Promise<string> {
  const measured = inOrder(lastOfEach(runs))
  const style = new Markup(`${paletteStyle()}\n${await readFile(STYLE_FILE, 'utf8')}`)
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tidemark: benchmarks</title>
<style>
${style}</style>
</head>
<body>
<header>
<h1>tidemark: benchmarks</h1>
<div class="runs">
${describeRuns(measured)}</div>
<nav>${measured.map(({ suite }) => html`<a href="#${suite}">${suite}</a> `)}</nav>
</header>
<main>
<section>
<h2>Wanted, and found</h2>
${describeVerdicts(measured)}
</section>
${measured.map(describeSuite)}
${describeLeftOut(measured)}
</main>
</body>
</html>
`
  return page.text
}

/** Suites of another version come last. */
function inOrder(measured: readonly Measured[]): Measured[] {
  const place = (one: Measured): number => {
    const found = SUITES.findIndex(({ name }) => name === one.suite)
    return found < 0 ? SUITES.length : found
  }
  return measured.toSorted((a, b) => place(a) - place(b))
}

function describeLeftOut(measured: readonly Measured[]): Markup {
  const missing = SUITES.filter(({ name }) => !measured.some(({ suite }) => suite === name))
  if (missing.length === 0) return html``
  const lines = missing.map(({ name, about }) => html`<li>${name}: ${about}</li>\n`)
  return html`<section>
<h2>Left out</h2>
<p>Not in the files that this was made of:</p>
<ul>
${lines}</ul>
</section>`
}

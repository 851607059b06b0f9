/** The part of the page that belongs to one suite: its charts, and beside or beneath them the exact figures. */
import { SUITES } from '../suites.ts'
import type { Chart, LegendEntry } from './chart.ts'
import { html, type Markup } from './html.ts'
import { drawn } from './palette.ts'
import type { Measured } from './runs.ts'
import type { Figures } from './section.ts'
import { sectionOf } from './sections.ts'

/** So many charts stand beside their figures on a wide screen; more of them stand above. */
const BESIDE = 2
/** Tables of up to so many columns stand beside each other where charts stand above. */
const NARROW = 6

export function describeSuite({ suite, result }: Measured): Markup {
  const { charts, figures, note } = sectionOf(suite, result)
  return html`<section id="${suite}">
<h2>${suite}</h2>
${about(suite)}${note === undefined ? [] : html`<p>${note}</p>\n`}
<div class="${charts.length > BESIDE ? 'above' : 'beside'}">
<div class="charts">
${charts.map(describeChart)}</div>
<div class="tables">
${figures.map(describeFigures)}</div>
</div>
</section>
`
}

function about(name: string): Markup {
  const suite = SUITES.find((one) => one.name === name)
  if (suite === undefined) return html``
  return html`<p>${suite.about}</p>
<details><summary>who does what</summary><pre>${suite.topology}</pre></details>
`
}

function describeChart({ title, legend, svg }: Chart): Markup {
  return html`<figure>
<figcaption>${title}</figcaption>
<ul class="legend">${legend.map(describeEntry)}</ul>
<div class="chart" role="img" aria-label="${title}">${svg}</div>
</figure>
`
}

function describeEntry({ name, colour, isDashed = false }: LegendEntry): Markup {
  const dashes = isDashed ? html` stroke-dasharray="5 4"` : html``
  const line = html`<line x1="0" y1="4" x2="22" y2="4" stroke="${drawn(colour)}" stroke-width="3"${dashes}/>`
  return html`<li><svg width="22" height="8" aria-hidden="true">${line}</svg> ${name}</li>`
}

function describeFigures({ caption, head, rows, left, notes = [] }: Figures): Markup {
  const cells = (cells: readonly string[]): Markup[] =>
    cells.map((cell, n) => (n < left ? html`<td>${cell}</td>` : html`<td class="number">${cell}</td>`))
  return html`<div class="${head.length > NARROW ? 'broad' : 'narrow'}">
<h3>${caption}</h3>
<div class="wide" tabindex="0"><table aria-label="${caption}">
<thead><tr>${head.map((name, n) => (n < left ? html`<th>${name}</th>` : html`<th class="number">${name}</th>`))}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${cells(row)}</tr>\n`)}</tbody>
</table></div>
${notes.map((note) => html`<p class="note">${note}</p>\n`)}</div>
`
}

/** The top of the page: when, where, by which command, whether all checks held, and what was wanted. */
import { type Check, isHeld } from '../checks.ts'
import { html, type Markup } from './html.ts'
import { dateOf, machineOf } from './machine.ts'
import { type Measured, type Run, verdictsOf } from './runs.ts'

export function describeRuns(measured: readonly Measured[]): Markup {
  const runs = Map.groupBy(measured, ({ run }) => run)
  return html`${[...runs].map(([run, suites]) => describeRun(run, runs.size > 1 ? suites : []))}`
}

/** @param suites  to be named, since there are other runs */
function describeRun({ document }: Run, suites: readonly Measured[]): Markup {
  const { environment, command, pace, checks } = document
  const { rounds, samples, sampleMs } = pace
  const load = environment.loadAverage === undefined ? 'unknown' : environment.loadAverage.toFixed(1)
  const facts: [string, string | Markup][] = [
    ...(suites.length > 0 ? [['suites', suites.map(({ suite }) => suite).join(', ')] as [string, string]] : []),
    ['date', dateOf(environment)],
    ['machine', `${machineOf(environment)}; load average ${load} before it began`],
    ['Node.js', environment.node],
    ['again', html`<code>${command}</code>`],
    ['rates', `medians of ${rounds * samples} samples of ${sampleMs} ms, in ${rounds} rounds`],
    ['checks', describeChecks(checks)]
  ]
  return html`<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>\n`
}

function describeChecks(checks: readonly Check[]): Markup {
  const broken = checks.filter((check) => !isHeld(check))
  if (broken.length === 0) return html`all ${checks.length} held`
  const lines = broken.map(({ name, expected, found }) => html`<li>${name}: ${found} instead of ${expected}</li>`)
  return html`<strong class="missed">${broken.length} of ${checks.length} did not hold</strong><ul>${lines}</ul>`
}

export function describeVerdicts(measured: readonly Measured[]): Markup {
  const verdicts = measured.flatMap(verdictsOf)
  if (verdicts.length === 0) return html`<p>Of what was measured nothing has a wanted figure beside it.</p>`
  const missed = verdicts.filter(({ isMet }) => !isMet).length
  const rows = verdicts.map(
    ({ suite, what, found, wanted, isMet }) => html`<tr>
<td>${isMet ? 'met' : MISSED}</td><td>${suite}</td><td>${what}</td><td>${found}</td><td>${wanted}</td>
</tr>\n`
  )
  return html`<p>${verdicts.length - missed} of ${verdicts.length} met.</p>
<div class="wide" tabindex="0"><table class="verdicts">
<thead><tr><th></th><th>suite</th><th>what</th><th>found</th><th>wanted</th></tr></thead>
<tbody>
${rows}</tbody>
</table></div>`
}

const MISSED = html`<strong class="missed">missed</strong>`

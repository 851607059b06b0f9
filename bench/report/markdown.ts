/** A short table for the README: what a group does with small and with large updates, and how long a failover takes. */
import { type KillsResult, milliseconds } from '../failover/kills.ts'
import { FAILOVER, type FailoverResult } from '../failover.ts'
import { GROUP, type GroupResult } from '../group.ts'
import { perSecond, size } from '../table.ts'
import { dateOf, machineOf } from './machine.ts'
import { lastOfEach, type Measured, ReportError, type Run } from './runs.ts'
import { usualComponents } from './suites/usual-components.ts'

const SIZES = [64, 4096]
const NOT_MEASURED = '-'

/** @throws ReportError where nothing of the table was measured */
export function markdownOf(runs: readonly Run[]): string {
  const measured = lastOfEach(runs).filter(({ suite }) => suite === GROUP.name || suite === FAILOVER.name)
  if (measured.length === 0) throw new ReportError('there are neither group nor failover results for a table')
  const rows = measured.flatMap(rowsOf)
  const lines = [['', ...SIZES.map(size)], ['---', ...SIZES.map(() => '---:')], ...rows]
  const sources = [...new Set(measured.map(({ run }) => describeSource(run)))]
  return `${lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')}\n${sources.join('\n\n')}\n`
}

function rowsOf({ suite, result }: Measured): string[][] {
  try {
    return suite === GROUP.name ? ofGroup(result as GroupResult[]) : ofFailover(result as FailoverResult)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new ReportError(`the results of ${suite} are those of another version: ${error.message}`)
  }
}

function ofGroup(all: readonly GroupResult[]): string[][] {
  const components = usualComponents(all)
  const row = (what: string, figure: (result: GroupResult) => string): string[] => [
    what,
    ...SIZES.map((bytes) => {
      const found = all.find((result) => result.lengthBytes === bytes && result.components === components)
      return found === undefined ? NOT_MEASURED : figure(found)
    })
  ]
  return [
    row(`acknowledged by a group of ${components}`, ({ rate }) => perSecond(rate.median)),
    row('times `postMessage`', ({ rate }) => rate.ratio.toFixed(1)),
    row('times the bare path', ({ timesBare }) => timesBare.toFixed(2))
  ]
}

function ofFailover({ kills }: FailoverResult): string[][] {
  const row = (what: string, of: (result: KillsResult) => number): string[] => [
    what,
    ...SIZES.map((bytes) => {
      const found = kills.find(({ setting }) => setting.lengthBytes === bytes && isUsual(setting))
      return found === undefined ? NOT_MEASURED : `${milliseconds(of(found))} ms`
    })
  ]
  return [
    row('redundant again after a death, p50', ({ redundant }) => redundant.p50),
    row('redundant again after a death, p99', ({ redundant }) => redundant.p99)
  ]
}

function isUsual({ how, takeover, mirrors }: KillsResult['setting']): boolean {
  return how === 'terminate' && takeover === 'spare' && mirrors === 1
}

function describeSource({ document }: Run): string {
  const { environment, command } = document
  return `${dateOf(environment)}, ${machineOf(environment)}, Node.js ${environment.node}: \`${command}\``
}

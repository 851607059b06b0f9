import { failComponent } from '../src/chaos.ts'
import type { BackupGroup, ViewReport } from '../src/index.ts'
import type { Kill } from './kinds.ts'
import { Violation } from './violation.ts'

/** All that a chaos run knows of how components are made to fail. Resolves when the group is redundant again. */
export async function kill(group: BackupGroup, id: number, how: Kill, hangTimeoutMs: number): Promise<ViewReport> {
  const report = await failComponent(group, id, how)
  checkViewReport(report, id, how === 'hang' ? 'hung' : reasonOfEnd(report, hangTimeoutMs))
  return report
}

/**
 * It ended, and so it failed; but where the machine is so busy that it made no progress for as long as a hang takes, it was
 * taken for hung before its thread had ended.
 */
function reasonOfEnd({ reason, detectedMs }: ViewReport, hangTimeoutMs: number): ViewReport['reason'] {
  return reason === 'hung' && detectedMs >= hangTimeoutMs / 2 ? 'hung' : 'failed'
}

export function checkViewReport(report: ViewReport, component: number, reason: ViewReport['reason']): void {
  const { view, detectedMs, reassignedMs, redundantMs, movedUpdates, movedBytes } = report
  const wrong = (what: string): never => {
    throw new Violation(`the view report on component ${component} ${what}: ${JSON.stringify(report)}`)
  }
  if (report.component !== component) wrong('names another component')
  if (report.reason !== reason) wrong(`does not give '${reason}' as the reason`)
  if (!Number.isSafeInteger(view) || view < 2) wrong('has an impossible view')
  if (![detectedMs, reassignedMs, redundantMs, movedUpdates, movedBytes].every(Number.isFinite)) {
    wrong('has a number that is not finite')
  }
  if (detectedMs < 0 || reassignedMs < detectedMs || redundantMs < reassignedMs) wrong('has times out of order')
  if (movedUpdates < 0 || movedBytes < 0) wrong('moved less than nothing')
}

/** One line, for logs. */
export function describeView(report: ViewReport): string {
  const { view, reason, component, detectedMs, reassignedMs, redundantMs, movedUpdates } = report
  const steps = [detectedMs, reassignedMs, redundantMs].map((ms) => ms.toFixed(1)).join('/')
  return `view ${view}: ${component} ${reason}, detected/reassigned/redundant ${steps} ms, ${movedUpdates} updates moved`
}

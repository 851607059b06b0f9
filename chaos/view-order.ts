import type { ViewReport } from '../src/index.ts'
import { checkViewReport } from './kill.ts'
import { Violation } from './violation.ts'

/** What a group tells of its views: none comes after a later one. */
export class ViewOrder {
  /** Components that were taken for hung, whether they were made to hang or not. */
  hung = 0
  private last = 1

  hear(report: ViewReport): void {
    checkViewReport(report, report.component, report.reason)
    // Several members may change in one view.
    if (report.view < this.last) throw new Violation(`view ${report.view} comes after view ${this.last}`)
    this.last = report.view
    if (report.reason === 'hung') this.hung++
  }
}

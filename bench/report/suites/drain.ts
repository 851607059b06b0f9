import { type DrainRowResult, nameOf } from '../../drain/rows.ts'
import { DRAIN, DRAIN_HEAD, type DrainResult, describeDrained } from '../../drain.ts'
import { type Ratio, ratioBars } from '../ratio-bars.ts'
import type { ChartedSuite } from '../section.ts'

export const DRAIN_SECTION: ChartedSuite<DrainResult> = {
  suite: DRAIN,
  section: ({ where, rows, setsClosedEarly }) => ({
    charts: [
      ratioBars('Secured', 'times a plain write of as many bytes', rows.map(secured), 'at least'),
      ratioBars('Applied', 'times a plain write of as many bytes', rows.map(applied), 'at least')
    ],
    figures: [
      {
        caption: `From the end of a set, files in ${where}`,
        head: DRAIN_HEAD,
        rows: rows.flatMap(describeDrained),
        left: 3,
        notes: [`sets closed early for lack of memory: ${setsClosedEarly}`]
      }
    ]
  })
}

function secured(row: DrainRowResult): Ratio {
  const wanted = row.wanted !== undefined && 'secured' in row.wanted ? row.wanted.secured : undefined
  return { name: nameOf(row), ratio: row.secured.timesPlain, wanted }
}

function applied(row: DrainRowResult): Ratio {
  const wanted = row.wanted !== undefined && 'applied' in row.wanted ? row.wanted.applied : undefined
  return { name: nameOf(row), ratio: row.applied.timesPlain, wanted }
}

import { describeVariation, VARIATION_HEAD, VARIATIONS_SUITE, type VariationResult } from '../../variations.ts'
import { ratioBars } from '../ratio-bars.ts'
import type { ChartedSuite } from '../section.ts'

export const VARIATIONS_SECTION: ChartedSuite<VariationResult[]> = {
  suite: VARIATIONS_SUITE,
  section: (results) => {
    const rows = results.map(describeVariation)
    const ratios = results.map(({ costRatio, wanted }, n) => ({ name: rows[n]?.[0] ?? '', ratio: costRatio, wanted }))
    const along = 'times the usual cost'
    return {
      charts: [ratioBars('Processor time of an update', along, ratios, 'at most')],
      figures: [{ caption: 'One thing changed', head: VARIATION_HEAD, rows, left: 1 }]
    }
  }
}

import { describePeers, PEERS_HEAD, PEERS_SUITE, type PeersResult, type SizeResult, wantedTimes } from '../../peers.ts'
import { size } from '../../table.ts'
import type { Chart } from '../chart.ts'
import { ratioBars } from '../ratio-bars.ts'
import type { ChartedSuite } from '../section.ts'

export const PEERS_SECTION: ChartedSuite<PeersResult> = {
  suite: PEERS_SUITE,
  section: ({ programs, leftOut, sizes }) => ({
    charts: sizes.map(chart),
    figures: [
      {
        caption: 'Rates',
        head: PEERS_HEAD,
        rows: sizes.flatMap(describePeers),
        left: 2,
        notes: [...programs.map(({ name, version }) => `${name} ${version}`), ...leftOut]
      }
    ]
  })
}

/** The first one is the group itself. */
function chart({ lengthBytes, ways }: SizeResult): Chart {
  const others = ways.slice(1).map(({ rate, groupTimes }) => ({
    name: rate.name,
    ratio: groupTimes,
    wanted: wantedTimes(lengthBytes, rate.name)
  }))
  return ratioBars(`Updates a second of ${size(lengthBytes)}`, 'group, times this one', others, 'at least')
}

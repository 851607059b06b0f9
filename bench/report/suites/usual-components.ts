import { USUAL } from '../../group/measured-group.ts'
import type { GroupResult } from '../../group.ts'

/** Of the group that the project watches; where that was not measured, of the smallest one. */
export function usualComponents(results: readonly GroupResult[]): number {
  const measured = results.map(({ components }) => components)
  return measured.includes(USUAL.components) ? USUAL.components : Math.min(...measured)
}

import type { Arena } from '../memory/arena.ts'
import { RECORD_POSITION, RECORD_SOURCE } from '../memory/record.ts'

/** The name of the update whose record is at this byte address. */
export function nameAt(arena: Arena, address: number): string {
  const source = arena.ints[(address >>> 2) + RECORD_SOURCE] as number
  return `${source}:${arena.floats[(address >>> 3) + RECORD_POSITION]}`
}

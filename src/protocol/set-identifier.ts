/**
 * Set identifiers only grow, also over restarts, so they outgrow 32 bits in the life of a group; the sets that are not yet
 * secured are always within a small window. Shared words and records therefore hold the low 32 bits, compared by difference.
 * (SYSTEM.md 6, "Set identifiers"; the reference's [0036].)
 */

/** Low 32 bits, signed; `| 0` is exact for every integer up to 2^53. */
export function lowBits(set: number): number {
  return set | 0
}

/** Whether set a comes after set b, both given by their low bits and less than 2^31 apart. */
export function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0
}

/** The full identifier whose low bits are `low`, next to a full one less than 2^31 away. */
export function expandSet(low: number, near: number): number {
  return near + ((low - (near | 0)) | 0)
}

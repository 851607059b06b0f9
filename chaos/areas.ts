/**
 * Who writes where. Each volume of a round, from its beginning:
 *
 *     | cells of counters | shared by all mixed writers | mixed writer 0's own | mixed writer 1's own | ... | nobody's |
 *     0                 1024                        1024+8192
 */
export const CELL_BYTES = 8
export const CELLS_PER_WRITER = 3
const CELLS_AREA_BYTES = 1024

export const SHARED_BEGIN = CELLS_AREA_BYTES
export const SHARED_BYTES = 8192
const OWN_BEGIN = SHARED_BEGIN + SHARED_BYTES

/** One of the three places of a counter: in different volumes where there are so many. */
export interface Cell {
  readonly volume: number
  readonly offset: number
}

export function cellsOf(writer: number, volumes: number): Cell[] {
  return Array.from({ length: CELLS_PER_WRITER }, (_, n) => ({
    volume: (writer + n) % volumes,
    offset: (writer * CELLS_PER_WRITER + n) * CELL_BYTES
  }))
}

export function ownBegin(place: number, ownBytes: number): number {
  return OWN_BEGIN + place * ownBytes
}

export function volumeBytes(mixedWriters: number, ownBytes: number, tailBytes: number): number {
  return ownBegin(mixedWriters, ownBytes) + tailBytes
}

/** For messages: whose a byte is. */
export function areaOf(offset: number, ownBytes: number, mixedWriters: number): string {
  if (offset < SHARED_BEGIN) return `the cells of writer ${Math.floor(offset / (CELL_BYTES * CELLS_PER_WRITER))}`
  if (offset < OWN_BEGIN) return 'the shared area'
  const place = Math.floor((offset - OWN_BEGIN) / ownBytes)
  return place < mixedWriters ? `the area of mixed writer ${place}` : "nobody's area"
}

import type { PartFacts } from '../protocol/set-store.ts'
import { FloatTable } from './float-table.ts'

/**
 * Descriptor of the journal's blocks. A segment is nothing but blocks, each written by one call and covered by one checksum;
 * a component's part of a set is a begin block, blocks of updates, and an end block. Words are little-endian.
 *
 *      0         4         8         12        16                  24
 *      +---------+---------+---------+---------+-------------------+
 *      | magic   | crc32   | kind    | componen| set (float64)     |
 *      +---------+---------+---------+---------+-------------------+
 *      24                  32                  40                  48
 *      +-------------------+-------------------+-------------------+
 *      | ordinal (float64) | updates (float64) | data (float64)    |
 *      +-------------------+-------------------+-------------------+
 *      48: one entry of 32 bytes for each update; then their data bytes, one after another, in the same order
 *      +---------+---------+-------------------+-------------------+-------------------+
 *      | volume  | flags   | offset (float64)  | length (float64)  | sequence (float64)|
 *      +---------+---------+-------------------+-------------------+-------------------+
 *
 * `crc32`    of everything in the block after it
 * `ordinal`  of the block in its part, from 0: a part with a missing block is noticed
 * `updates`  entries in this block; in an end block, which has none, those of the whole part
 * `data`     data bytes in this block; in an end block those of the whole part
 *
 * The entries lie apart from the data so that updates which follow each other in a volume do so in the journal too: they are
 * read and written in one piece when the set is applied.
 */
export const BLOCK_MAGIC = 0x314a4d54
/** 'TMU1': the same blocks, of undo (undo.ts). */
export const UNDO_MAGIC = 0x31554d54
export const BLOCK_HEADER_BYTES = 48
export const BLOCK_ENTRY_BYTES = 32
/** The checksum covers the block from here on. */
export const BLOCK_CHECKED_FROM = 8

export const KIND_BEGIN = 1
export const KIND_UPDATES = 2
export const KIND_END = 3

export const ENTRY_ZERO = 1

/** Indices in uint32 words. */
export const BLOCK_CRC = 1
export const BLOCK_KIND = 2
export const BLOCK_COMPONENT = 3
/** Indices in float64 words. */
export const BLOCK_SET = 2
export const BLOCK_ORDINAL = 3
export const BLOCK_UPDATES = 4
export const BLOCK_DATA = 5

/** Largest block, apart from one with a single update that is larger by itself. */
export const BLOCK_MOST_DATA = 1 << 20
export const BLOCK_MOST_UPDATES = 8192

/** Columns of the table of a part's updates, which is kept in memory until the set is applied. */
export const FRAME_VOLUME = 0
export const FRAME_OFFSET = 1
export const FRAME_LENGTH = 2
export const FRAME_SEQUENCE = 3
/** Of the data in the segment; -1 for a zero update. */
export const FRAME_POSITION = 4

export function frameTable(): FloatTable {
  return new FloatTable(5)
}

/** A component's part of one set, as it lies in a segment. */
export interface Part {
  readonly set: number
  readonly path: string
  readonly frames: FloatTable
  /** Data bytes. */
  readonly bytes: number
}

/** What is told of it. */
export function factsOf({ frames, bytes }: Part): PartFacts {
  return { updates: frames.length, bytes }
}

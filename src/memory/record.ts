/**
 * Descriptor of one update record, the same in a source's ring and in the arenas of the components that hold it,
 * so that keeping a copy is one copy of consecutive words.
 *
 *      0         4         8         12        16                  24
 *      +---------+---------+---------+---------+-------------------+
 *      | bytes   | flags   | source  | volume  | position (float64)|
 *      +---------+---------+---------+---------+-------------------+
 *      24                  32        36        40                  48
 *      +-------------------+---------+---------+-------------------+
 *      | offset (float64)  | length  | set     | sequence (float64)|
 *      +-------------------+---------+---------+-------------------+
 *      48        52        56
 *      +---------+---------+-----------------------------------------
 *      | holders           | payload, padded to 8 bytes ...
 *      +---------+---------+-----------------------------------------
 *
 * `bytes`     of the whole record with its padding, so that memory can be walked record by record
 * `position`  the unwrapped ordinal in the source; (source, position) is the update's name
 * `length`    bytes of data. A zero update has no data: its payload is the length of its range as a float64
 * `set`       the low 32 bits of the set identifier; written by the component that took it
 * `sequence`  0 until the responsible component has given one
 * `holders`   a bit for each slot whose component holds a copy, slots 0..31 and 32..63; written by the component that took it,
 *             again when a change of view has moved copies. Every copy tells, so whoever survives knows what is missing
 */
const HEADER = 56
export const HEADER_BYTES = HEADER
export const HEADER_INTS = HEADER / 4

export const RECORD_BYTES = 0
export const RECORD_FLAGS = 1
export const RECORD_SOURCE = 2
export const RECORD_VOLUME = 3
export const RECORD_LENGTH = 8
export const RECORD_SET = 9
export const RECORD_HOLDERS = 12
/** Indices in float64 words. */
export const RECORD_POSITION = 2
export const RECORD_OFFSET = 3
export const RECORD_SEQUENCE = 5
export const RECORD_PAYLOAD = 7

/** The range reads as zeros. */
export const FLAG_ZERO = 1
/** Part of a transaction, and not its last part. */
export const FLAG_MORE = 2
/** The source wants to know set, sequence and holders. */
export const FLAG_RECEIPT = 4
/** The word at RECORD_SET holds, until the update is taken, when it was posted: its latency is measured. */
export const FLAG_SAMPLED = 8
/** A copy sent by the responsible component to a mirror; without it, by the taker to the responsible one. */
export const FLAG_MIRROR = 16
/** Not acknowledged when a view changed: it was dropped, though its chunk is still held. */
export const FLAG_DROPPED = 32
/** The copy has no bytes of data, though `length` says how many the update has: they are with the responsible component. */
export const FLAG_METADATA = 64

/** Whether the update has bytes of its own: a zero update has none, and its copies are whole without. */
export function hasData(memory: { readonly ints: Int32Array }, address: number): boolean {
  return ((memory.ints[(address >>> 2) + RECORD_FLAGS] as number) & FLAG_ZERO) === 0
}

/** Bytes that a record of `length` data bytes takes, header and padding included. */
export function recordBytesFor(length: number): number {
  return (HEADER + length + 7) & ~7
}

/** The record of a zero update carries its range's length as a float64. */
export const ZERO_RECORD_BYTES = HEADER + 8

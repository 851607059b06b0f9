import { TidemarkError } from './errors.ts'
import type { BoardLayout } from './memory/board.ts'
import { HEADER_BYTES, recordBytesFor } from './memory/record.ts'
import type { SourceLayout } from './memory/source-memory.ts'
import type { SourcePort } from './types.ts'

/** What every source of a group must know. */
export interface GroupFacts {
  readonly board: SharedArrayBuffer
  readonly boardLayout: BoardLayout
  readonly volumes: readonly { readonly name: string; readonly size: number }[]
  /** Data bytes of the largest update that goes as one record. */
  readonly largestRecordData: number
  /** What one transaction may take: bytes of records, and parts. */
  readonly transactionBytes: number
  readonly transactionParts: number
}

export interface SourceLimits {
  readonly recordData: number
  readonly transactionBytes: number
  readonly transactionParts: number
}

/** A small ring bounds a source further: a record may take a quarter of it, a transaction all of it. */
export function sourceLimits(facts: GroupFacts, layout: SourceLayout): SourceLimits {
  return {
    recordData: Math.min(facts.largestRecordData, layout.bodyBytes / 4 - HEADER_BYTES),
    transactionBytes: Math.min(facts.transactionBytes, layout.bodyBytes),
    transactionParts: Math.min(facts.transactionParts, layout.capacity)
  }
}

/** Bytes of records, and their number, for one update of `length` data bytes. */
export function partsFor(length: number, limits: SourceLimits): { bytes: number; parts: number } {
  const whole = Math.floor(length / limits.recordData)
  const rest = length - whole * limits.recordData
  const hasRest = rest > 0 || whole === 0
  return {
    bytes: whole * recordBytesFor(limits.recordData) + (hasRest ? recordBytesFor(rest) : 0),
    parts: whole + (hasRest ? 1 : 0)
  }
}

const KIND = 'tidemark source port 1'

/** Shared memory and plain values: structured-cloneable without a transfer list. */
export interface PortContents {
  readonly kind: typeof KIND
  readonly id: number
  readonly name: string
  readonly buffer: SharedArrayBuffer
  readonly layout: SourceLayout
  readonly facts: GroupFacts
}

export function makePort(contents: Omit<PortContents, 'kind'>): SourcePort {
  return { kind: KIND, ...contents } as unknown as SourcePort
}

export function openPort(port: unknown): PortContents {
  const contents = port as Partial<PortContents> | null | undefined
  if (typeof contents !== 'object' || contents === null || contents.kind !== KIND) {
    throw new TidemarkError('TIDEMARK_OPTIONS', 'this is not a port made by group.exportSource', { option: 'port' })
  }
  return contents as PortContents
}

import type { Check } from '../checks.ts'
import { median } from '../measure.ts'
import { size } from '../table.ts'
import type { Usage } from '../usage.ts'
import type { Drained, SetPlan } from './drained-group.ts'

export interface DrainRow {
  readonly plan: SetPlan
  /** What the project wants: of the plain write's bytes a second; of the updates a second of the row without overwrites. */
  readonly wanted?: { readonly secured: number; readonly applied: number } | { readonly timesUnfolded: number }
}

/** None of them overwrites another: what those of the same size with overwrites are compared with. */
export const UNFOLDED: DrainRow = { plan: { lengthBytes: 4096, places: { overwrites: 0 } } }

export const ROWS: readonly DrainRow[] = [
  { plan: { lengthBytes: 65536, places: 'in turn' }, wanted: { secured: 0.6, applied: 0.35 } },
  UNFOLDED,
  { plan: { lengthBytes: 4096, places: { overwrites: 0.5 } } },
  { plan: { lengthBytes: 4096, places: { overwrites: 0.9 } }, wanted: { timesUnfolded: 3 } }
]

/** One set, and the plain write beside it. */
export interface DrainTurn extends Drained {
  readonly plainMs: number
}

/** Medians over the rounds. */
export interface DrainRate {
  readonly updatesPerSecond: number
  readonly bytesPerSecond: number
  /** By the plain write's bytes a second in the same round. */
  readonly timesPlain: number
  /** By the updates a second of those of the same size without overwrites, in the same round. */
  readonly timesUnfolded: number
}

export interface DrainRowResult extends DrainRow {
  readonly setBytes: number
  readonly turns: readonly DrainTurn[]
  readonly secured: DrainRate
  readonly applied: DrainRate
  readonly plainBytesPerSecond: number
  /** Processor time of the whole process for one update, from closing until applied. */
  readonly cpuNs: number
  readonly ownCores: number
  readonly otherCores: number
}

/** @param unfolded  the turns of UNFOLDED */
export function evaluate(
  row: DrainRow,
  setBytes: number,
  turns: readonly DrainTurn[],
  unfolded: readonly DrainTurn[],
  usage: Usage
): DrainRowResult {
  const rate = (stage: 'securedMs' | 'appliedMs'): DrainRate => {
    const perSecond = (amount: number): number => median(turns.map((turn) => (amount * 1000) / turn[stage]))
    return {
      updatesPerSecond: perSecond(setBytes / row.plan.lengthBytes),
      bytesPerSecond: perSecond(setBytes),
      timesPlain: median(turns.map((turn) => turn.plainMs / turn[stage])),
      timesUnfolded: median(turns.map((turn, n) => perUpdate(unfolded[n], stage) / perUpdate(turn, stage)))
    }
  }
  const { cpuNs, ownCores, otherCores } = usage.read()
  return {
    ...row,
    setBytes,
    turns,
    secured: rate('securedMs'),
    applied: rate('appliedMs'),
    plainBytesPerSecond: median(turns.map(({ plainMs }) => (setBytes * 1000) / plainMs)),
    cpuNs,
    ownCores,
    otherCores
  }
}

function perUpdate(turn: DrainTurn | undefined, stage: 'securedMs' | 'appliedMs'): number {
  return turn === undefined ? Number.NaN : turn[stage] / turn.updates
}

/** A set that was closed early lacks updates; and nothing but the newest bytes of each place is to get to the files. */
export function checksOf(row: DrainRow, setBytes: number, turns: readonly DrainTurn[]): Check[] {
  const { lengthBytes, places } = row.plan
  const updates = setBytes / lengthBytes
  const newest = updates - Math.round(updates * (places === 'in turn' ? 0 : places.overwrites))
  const sum = (of: (turn: DrainTurn) => number): number => turns.reduce((total, turn) => total + of(turn), 0)
  const name = nameOf(row)
  return [
    { name: `${name}: updates in the sets`, expected: updates * turns.length, found: sum((turn) => turn.updates) },
    {
      name: `${name}: bytes written to files`,
      expected: newest * lengthBytes * turns.length,
      found: sum((turn) => turn.writtenBytes)
    }
  ]
}

export function nameOf({ plan: { lengthBytes, places } }: DrainRow): string {
  return `${size(lengthBytes)} ${describePlaces(places)}`
}

export function describePlaces(places: SetPlan['places']): string {
  return places === 'in turn' ? places : `at random, ${places.overwrites * 100} % overwritten`
}

import { SlotFile } from './slot-file.ts'

/** How far back the secondary can be restored (docs/history.md). */
export interface HistoryBounds {
  /** Undo of all sets after it was saved. */
  readonly since: number
  /** The oldest set that is kept: what only older ones need is removed, unless a lease is on it. */
  readonly oldest: number
}

/** What the first component keeps for all: how far the secondary has got. */
export interface SecondaryState {
  readonly securedSet: number
  /** Milliseconds since the epoch; null before the first set. */
  readonly securedTime: number | null
  readonly appliedSet: number
  readonly appliedTime: number | null
  /** The set that is being written to the images. */
  readonly applying: number | null
  /** Null: no history is kept. */
  readonly history: HistoryBounds | null
}

/** 'TMS1' and 'TMC1', little-endian. */
const STATE_MAGIC = 0x31534d54
const CEILING_MAGIC = 0x31434d54
const STATE_VALUES = 7

const NOTHING: SecondaryState = {
  securedSet: 0,
  securedTime: null,
  appliedSet: 0,
  appliedTime: null,
  applying: null,
  history: null
}

export class StateFile {
  private readonly slots: SlotFile
  private state: SecondaryState

  private constructor(slots: SlotFile) {
    this.slots = slots
    this.state = decode(slots.read())
  }

  static create(file: string): void {
    SlotFile.create(file, STATE_MAGIC, encode(NOTHING))
  }

  static open(file: string, access: 'read' | 'write'): StateFile {
    const slots = SlotFile.open(file, STATE_MAGIC, STATE_VALUES, access)
    try {
      return new StateFile(slots)
    } catch (cause) {
      slots.close()
      throw cause
    }
  }

  /** The writer's own; a reader's last `refresh`. */
  get current(): SecondaryState {
    return this.state
  }

  refresh(): SecondaryState {
    this.state = decode(this.slots.read())
    return this.state
  }

  /** Only when the set's commit record is durable. */
  secure(set: number, time: number): void {
    const next = { ...this.state, securedSet: set, securedTime: time }
    this.slots.writeDurable(encode(next))
    this.state = next
  }

  /**
   * Before the first byte of the set touches a volume. Not durable: after a crash the set is redone whether or not it had
   * begun. Who sees it also knows that the `appliedSet` beside it is durable, since that was before.
   */
  announce(set: number): void {
    const next = { ...this.state, applying: set }
    this.slots.writeVisible(encode(next))
    this.state = next
  }

  /**
   * Only when all images hold the set durably.
   * @param history  how far back it goes from now on: published in the same write, before anything is removed
   */
  mark(set: number, time: number | null, history = this.state.history): void {
    const next = { ...this.state, appliedSet: set, appliedTime: time, applying: null, history }
    this.slots.writeDurable(encode(next))
    this.state = next
  }

  /** While no set is being applied. Null: undo is not saved any more. */
  keepHistory(history: HistoryBounds | null): void {
    const next = { ...this.state, history }
    this.slots.writeDurable(encode(next))
    this.state = next
  }

  close(): void {
    this.slots.close()
  }
}

/** As it is just now, whoever writes. */
export function readState(file: string): SecondaryState {
  const state = StateFile.open(file, 'read')
  try {
    return state.current
  } finally {
    state.close()
  }
}

/**
 * The set ceiling: no identifier above it has ever been handed out. A file of its own, since the control thread writes it
 * while the first component writes the state.
 */
export class CeilingFile {
  private readonly slots: SlotFile
  private ceiling: number

  private constructor(slots: SlotFile) {
    this.slots = slots
    this.ceiling = slots.read()[0] as number
  }

  static create(file: string): void {
    SlotFile.create(file, CEILING_MAGIC, [0])
  }

  static open(file: string, access: 'read' | 'write'): CeilingFile {
    const slots = SlotFile.open(file, CEILING_MAGIC, 1, access)
    try {
      return new CeilingFile(slots)
    } catch (cause) {
      slots.close()
      throw cause
    }
  }

  get current(): number {
    return this.ceiling
  }

  /**
   * Durable when it returns: identifiers up to it may then be handed out. In both slots: if one is damaged afterwards, the other
   * must not say that they never were.
   */
  raise(upTo: number): void {
    if (upTo <= this.ceiling) return
    for (let slot = 0; slot < 2; slot++) this.slots.writeDurable([upTo])
    this.ceiling = upTo
  }

  close(): void {
    this.slots.close()
  }
}

function encode(state: SecondaryState): number[] {
  const orNone = (value: number | null): number => value ?? Number.NaN
  const { securedSet, securedTime, appliedSet, appliedTime, applying, history } = state
  // One more each: what was never written reads as 0.
  const bounds = history === null ? [0, 0] : [history.since + 1, history.oldest + 1]
  return [securedSet, orNone(securedTime), appliedSet, orNone(appliedTime), orNone(applying), ...bounds]
}

function decode(values: readonly number[]): SecondaryState {
  const orNull = (value: number | undefined): number | null =>
    value === undefined || Number.isNaN(value) ? null : value
  return {
    securedSet: values[0] ?? 0,
    securedTime: orNull(values[1]),
    appliedSet: values[2] ?? 0,
    appliedTime: orNull(values[3]),
    applying: orNull(values[4]),
    history: values[5] ? { since: values[5] - 1, oldest: (values[6] ?? 1) - 1 } : null
  }
}

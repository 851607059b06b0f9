import { setTimeout as sleep } from 'node:timers/promises'
import { failComponent } from '../chaos.ts'
import type { BackupGroup, PrimarySource, ViewReport } from '../index.ts'
import type { Interruption } from './interruption.ts'

const KINDS = ['terminate', 'exit', 'throw', 'hang'] as const

export interface Kill {
  readonly how: (typeof KINDS)[number]
  readonly report: ViewReport
}

const BYTES_PER_KILL = 32 * 2 ** 20
const MOST_KILLS = 8
/** Long enough that a thread which merely waits for a busy core is not taken for one that hangs. */
export const HANG_TIMEOUT_MS = 250
/** How long a kill is put off at most until the group is as a kill should find it. */
const PATIENCE_MS = 2000
const LOOK_EVERY_MS = 2

/** One for what is small, a few for what is large. */
export function killsFor(bytes: number): number {
  return Math.min(MOST_KILLS, Math.max(1, Math.ceil(bytes / BYTES_PER_KILL)))
}

interface Victims {
  readonly group: BackupGroup
  readonly sources: readonly PrimarySource[]
  readonly interruption: Interruption
}

/**
 * Makes components fail while updates go in: one after another, at instants spread evenly over the updates, each in one of
 * the ways that a thread can fail. The sources go on meanwhile; only at the instant of the next kill they wait for the one
 * before, so that the kills stay spread over the input and never outnumber the mirrors.
 */
export class Kills {
  readonly done: Kill[] = []
  private readonly victims: Victims
  /** Numbers of updates after which there is a kill, rising. */
  private readonly instants: readonly number[]
  private posted = 0
  private begun = 0
  private underWay: Promise<void> = Promise.resolve()

  constructor(victims: Victims, kills: number, updates: number) {
    this.victims = victims
    this.instants = Array.from({ length: kills }, (_, n) => Math.ceil((updates * (n + 1)) / (kills + 1)))
  }

  /** An update has gone in. Rejects when a component could not be replaced. */
  async afterUpdate(): Promise<void> {
    this.posted++
    if (!this.isDue()) return
    await this.settled()
    // Whichever source is the first to go on begins it.
    if (this.isDue() && !this.victims.interruption.asked) this.begin()
  }

  /** Everything is redundant again after the kill that is under way, and a spare is warm for the next; or it was interrupted. */
  async settled(): Promise<void> {
    await Promise.race([this.underWay, this.victims.interruption.happened])
  }

  private isDue(): boolean {
    const instant = this.instants[this.begun]
    return instant !== undefined && this.posted >= instant
  }

  private begin(): void {
    const how = KINDS[this.begun++ % KINDS.length] as Kill['how']
    this.underWay = this.kill(how)
    // Whoever settles hears of it. After an interruption nobody does: closing the group then ends what is under way.
    this.underWay.catch(() => {})
  }

  private async kill(how: Kill['how']): Promise<void> {
    const { group, sources, interruption } = this.victims
    // What is not acknowledged is in its source still, and could not be lost.
    await Promise.all(sources.map((source) => source.flush()))
    const id = await holderOf(group, interruption)
    if (id === undefined) return
    this.done.push({ how, report: await failComponent(group, id, how) })
    if (this.begun < this.instants.length) await spareIsWarm(group, interruption)
  }
}

/**
 * A component that is responsible for updates of the period that is forming: there is something to lose. Where the period
 * has only begun, more is about to go in. Undefined after an interruption.
 */
async function holderOf(group: BackupGroup, interruption: Interruption): Promise<number | undefined> {
  let found: number | undefined
  await until(() => {
    found = group.status().volumes.find(({ sequence }) => sequence > 0)?.responsible
    return found !== undefined
  }, interruption)
  if (interruption.asked) return undefined
  return found ?? group.status().components.find(({ state }) => state === 'active')?.id
}

/**
 * So the group stands before most failures. Without one the survivors would take over, and wait for a thread to start where
 * they are too few: the times would be those of two failures at once.
 */
function spareIsWarm(group: BackupGroup, interruption: Interruption): Promise<void> {
  return until(() => group.status().components.some(({ state }) => state === 'spare'), interruption)
}

/** Looks again and again, not for ever. */
async function until(condition: () => boolean, interruption: Interruption): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!interruption.asked && performance.now() < deadline && !condition()) await sleep(LOOK_EVERY_MS)
}

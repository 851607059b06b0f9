/** What a failover takes at least on this machine, in this run: nothing is sequenced, decided, noted or kept consistent. */
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { allocateParking, type Parking, parkingIn } from '../../src/memory/parking.ts'
import { recordBytesFor } from '../../src/memory/record.ts'
import { type Latency, LatencyHistogram } from '../latency.ts'
import { table } from '../table.ts'
import { REST_MS } from './kill-stage.ts'
import { KILLS_HEAD, type KillsResult, killsName, killsSettings, latencyRow } from './kills.ts'

export interface BareMemberData {
  readonly bed: SharedArrayBuffer
  readonly arena: SharedArrayBuffer
  readonly port: MessagePort
}

/** Asked of a member, before it is woken: to answer, or to copy first. */
export interface BareRequest {
  readonly copy?: BareCopy
}

/** From the member's own arena to that one, the same bytes there as here, piece by piece. */
export interface BareCopy {
  readonly to: SharedArrayBuffer
  readonly from: number
  readonly bytes: number
  readonly pieceBytes: number
}

export interface BareFailoverResult {
  readonly kills: number
  readonly warmUpKills: number
  /** From the order to end until the port of the ended thread is closed. */
  readonly fenced: Latency
  /** From the order to end until all is copied and everybody has said so. */
  readonly redundant: Latency
}

const MEMBERS = 4

/** A thread that has compiled what a component's has, and does nothing but answer and copy. */
class BareMember {
  readonly arena: SharedArrayBuffer
  private readonly worker: Worker
  private readonly port: MessagePort
  private readonly parking: Parking
  private readonly closed: Promise<unknown>

  static async start(arena: SharedArrayBuffer): Promise<BareMember> {
    const member = new BareMember(arena)
    await member.answer()
    return member
  }

  private constructor(arena: SharedArrayBuffer) {
    this.arena = arena
    const { port1, port2 } = new MessageChannel()
    const bed = allocateParking()
    this.parking = parkingIn(bed)
    this.port = port1
    this.closed = once(port1, 'close')
    const workerData: BareMemberData = { bed, arena, port: port2 }
    this.worker = new Worker(new URL('../threads/bare-member.ts', import.meta.url), {
      workerData,
      transferList: [port2]
    })
  }

  async ask(request: BareRequest): Promise<void> {
    const answered = this.answer()
    this.port.postMessage(request)
    this.parking.wake()
    await answered
  }

  /** Told to end. Resolves when it runs no JavaScript any more; `end` waits for the thread's exit. */
  async fence(): Promise<void> {
    void this.worker.terminate()
    await this.closed
  }

  async end(): Promise<void> {
    await this.worker.terminate()
  }

  private async answer(): Promise<void> {
    await once(this.port, 'message')
  }
}

/** Kills one thread after another as a row of kills does; a warm one takes its place, and gets what the dead one would have held. */
export async function measureBareFailover(quick: boolean): Promise<BareFailoverResult> {
  const [setting] = killsSettings(quick)
  if (setting === undefined) throw new Error('there is no setting to measure')
  const { heldBytes, lengthBytes } = setting
  const pieceBytes = recordBytesFor(lengthBytes)
  const kills = quick ? 5 : 100
  const warmUpKills = quick ? 1 : 10
  const fenced = new LatencyHistogram()
  const redundant = new LatencyHistogram()
  const start = (): Promise<BareMember> => BareMember.start(touchedMemory(heldBytes))
  const members = await Promise.all(Array.from({ length: MEMBERS }, start))
  let spare = await start()
  const share = Math.floor(heldBytes / (MEMBERS - 1) / 8) * 8
  for (let kill = -warmUpKills; kill < kills; kill++) {
    await pause(REST_MS)
    const slot = (kill + warmUpKills) % MEMBERS
    const dead = members[slot] as BareMember
    members[slot] = spare
    const began = performance.now()
    await dead.fence()
    const fencedAt = performance.now()
    await Promise.all(members.map((member) => member.ask({})))
    let from = 0
    const copies = members.map((member): Promise<void> => {
      if (member === spare) return member.ask({})
      const copy: BareCopy = { to: spare.arena, from, bytes: share, pieceBytes }
      from += share
      return member.ask({ copy })
    })
    await Promise.all(copies)
    const redundantAt = performance.now()
    if (kill >= 0) {
      fenced.record(fencedAt - began)
      redundant.record(redundantAt - began)
    }
    await dead.end()
    spare = await start()
  }
  await Promise.all([...members, spare].map((member) => member.end()))
  return { kills, warmUpKills, fenced: fenced.read(), redundant: redundant.read() }
}

export function bareFailoverName({ kills, warmUpKills }: BareFailoverResult): string {
  return `A bare failover: a thread ends, two rounds of wakes, all copied: ${kills} of them after ${warmUpKills} to warm up`
}

export function describeBareRows({ fenced, redundant }: BareFailoverResult): string[][] {
  return [latencyRow('fenced', fenced), latencyRow('copied', redundant)]
}

/** @param rows  of kills of this run: the first one is beside it */
export function describeTimesBare({ redundant }: BareFailoverResult, rows: readonly KillsResult[]): string[] {
  const [row] = rows
  if (row === undefined) return []
  const times = (place: 'p50' | 'p99'): string =>
    `${(row.redundant[place] / redundant[place]).toFixed(2)} times (${place})`
  return [`${killsName(row.setting)}: until redundant, ${times('p50')}, ${times('p99')} as long as this`]
}

export function describeBareFailover(result: BareFailoverResult, rows: readonly KillsResult[]): string {
  return [
    `\n  ${bareFailoverName(result)}\n\n`,
    table(KILLS_HEAD, describeBareRows(result)),
    '\n',
    ...describeTimesBare(result, rows).map((line) => `  ${line}\n`)
  ].join('')
}

/** The system gives no page of it while it is being measured. */
function touchedMemory(bytes: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes)
  new Uint8Array(memory).fill(1)
  return memory
}

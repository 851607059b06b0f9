/** What people would use in place of a group, in the same run. */
import type { Check } from './checks.ts'
import { MeasuredGroup, USUAL } from './group/measured-group.ts'
import { measureRates, type Rate, ratioOf } from './measure.ts'
import { openMessages } from './message-channel.ts'
import { JETSTREAM } from './peers/jetstream.ts'
import type { Peer, PeerContestant } from './peers/peer.ts'
import { findProgram, type Program } from './peers/program.ts'
import { REDIS_STREAM } from './peers/redis-stream.ts'
import type { Suite, SuiteSettings, Verdict } from './suite.ts'
import { RATE_CELLS, rateCells, size, table } from './table.ts'

const TOPOLOGY = `
      group:          as in 'group': 2 sources, 4 components (threads), 1 mirror, 16 volumes, a set each 100 ms
      Redis stream:   thread --XADD, pipelines of 64--> redis-server --> redis-server, its replica
      NATS JetStream: thread --publish, 256 not acknowledged yet--> nats-server, a stream in memory
      postMessage:    { volume, offset, data } a message, one thread to another, no answer

  An update counts when its reply has come: of the group when two components hold it, of Redis when the primary has it, of
  JetStream when its one server has it. Each carries volume, offset and data. No update goes to a disk. All take turns.
`

const PEERS: readonly Peer[] = [REDIS_STREAM, JETSTREAM]
/** Of those that were asked for. */
const SIZES = [64, 4096]

export interface SizeResult {
  readonly lengthBytes: number
  /** The group, the peers that are there, postMessage. */
  readonly ways: readonly {
    readonly rate: Rate
    /** Median over the rounds of the group's rate by this one's. */
    readonly groupTimes: number
    /** Its servers are other programs to this process: `otherCores` counts them. */
    readonly hasServers: boolean
  }[]
}

export interface PeersResult {
  readonly programs: readonly Program[]
  /** A line for each peer that is not there. */
  readonly leftOut: readonly string[]
  readonly sizes: readonly SizeResult[]
}

/** What the project wants: the group's rate by theirs. */
const WANTED: readonly { lengthBytes: number; way: string; ratio: number }[] = [
  { lengthBytes: 64, way: REDIS_STREAM.name, ratio: 10 },
  { lengthBytes: 64, way: 'postMessage', ratio: 15 }
]

export const PEERS_SUITE: Suite<PeersResult> = {
  name: 'peers',
  about: 'the group beside what people would use: a Redis stream with a replica, NATS JetStream, postMessage',
  topology: TOPOLOGY,
  run: benchPeers,
  disturbances: ({ sizes }) =>
    sizes.flatMap(({ ways }) => ways.filter((way) => !way.hasServers).map(({ rate }) => rate)),
  verdicts
}

interface Found {
  readonly peer: Peer
  readonly program: Program
}

async function benchPeers({ sizes, pace, print }: SuiteSettings): Promise<{ result: PeersResult; checks: Check[] }> {
  const sought = await Promise.all(PEERS.map(seek))
  const found = sought.filter((one) => typeof one !== 'string')
  const leftOut = sought.filter((one) => typeof one === 'string')
  for (const { program } of found) print(`  ${program.name} ${program.version}, ${program.file}\n`)
  for (const line of leftOut) print(`  ${line}\n`)
  const results: SizeResult[] = []
  const checks: Check[] = []
  for (const lengthBytes of SIZES.filter((bytes) => sizes.includes(bytes))) {
    const measured = await measureSize(lengthBytes, found, pace)
    results.push(measured.result)
    checks.push(...measured.checks)
  }
  if (results.length > 0) print(`\n${table(PEERS_HEAD, results.flatMap(describePeers), 2)}`)
  else print(`  nothing is measured: it knows updates of ${SIZES.map(size).join(' and ')} only\n`)
  return { result: { programs: found.map(({ program }) => program), leftOut, sizes: results }, checks }
}

/** Returns a line for one that cannot be measured here. */
async function seek(peer: Peer): Promise<Found | string> {
  const program = await findProgram(peer.program)
  if (program === undefined) return `left out: ${peer.program} is not on the PATH (${peer.install})`
  if (Number.parseInt(program.version, 10) >= peer.oldest) return { peer, program }
  return `left out: ${program.file} is ${program.version}, too old for what is checked (${peer.oldest} is not)`
}

async function measureSize(
  lengthBytes: number,
  found: readonly Found[],
  pace: SuiteSettings['pace']
): Promise<{ result: SizeResult; checks: Check[] }> {
  // Servers are ended whatever happens.
  await using opened = new AsyncDisposableStack()
  const peers: PeerContestant[] = []
  for (const { peer, program } of found) peers.push(opened.use(await peer.open(program, lengthBytes)))
  const group = await MeasuredGroup.open({ ...USUAL, lengthBytes })
  const messages = openMessages(lengthBytes)
  const rates = await measureRates([group, ...peers, messages], pace)
  const checks = [...(await group.check()), ...messages.check()]
  for (const peer of peers) checks.push(...(await peer.check()))
  await Promise.all([group.close(), messages.close()])
  const ways = rates.map((rate) => ({
    rate,
    groupTimes: ratioOf(rates[0] as Rate, rate),
    hasServers: peers.some(({ name }) => name === rate.name)
  }))
  return { result: { lengthBytes, ways }, checks }
}

export function wantedTimes(lengthBytes: number, way: string): number | undefined {
  return WANTED.find((one) => one.lengthBytes === lengthBytes && one.way === way)?.ratio
}

function verdicts({ sizes }: PeersResult): Verdict[] {
  return WANTED.flatMap(({ lengthBytes, way, ratio }) => {
    const result = sizes.find((one) => one.lengthBytes === lengthBytes)
    const found = result?.ways.find(({ rate }) => rate.name === way)?.groupTimes
    if (found === undefined) return []
    const what = `${size(lengthBytes)}, ${USUAL.components} components, times ${way}`
    return [{ what, found: found.toFixed(2), wanted: `at least ${ratio}`, isMet: found >= ratio }]
  })
}

export const PEERS_HEAD = ['update', 'way', ...RATE_CELLS, 'group by it']

/** `cpu/update` is of this process; servers are in the other cores. */
export function describePeers({ lengthBytes, ways }: SizeResult): string[][] {
  return ways.map(({ rate, groupTimes, hasServers }) => [
    size(lengthBytes),
    rate.name,
    ...rateCells(lengthBytes, rate, hasServers ? ' + servers' : ''),
    groupTimes.toFixed(1)
  ])
}

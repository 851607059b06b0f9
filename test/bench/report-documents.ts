/** What `npm run bench -- --json` writes of each suite, small and by hand. */
import type { BenchDocument } from '../../bench/document.ts'
import { type DrainRate, ROWS } from '../../bench/drain/rows.ts'
import type { DrainResult } from '../../bench/drain.ts'
import type { KillsResult, KillsSetting } from '../../bench/failover/kills.ts'
import type { FailoverResult } from '../../bench/failover.ts'
import { USUAL } from '../../bench/group/measured-group.ts'
import type { GroupResult } from '../../bench/group.ts'
import type { Latency } from '../../bench/latency.ts'
import type { LatencyResult } from '../../bench/latency-suite.ts'
import { QUICK, type Rate } from '../../bench/measure.ts'
import type { PeersResult } from '../../bench/peers.ts'
import type { RingResult } from '../../bench/ring.ts'
import type { VariationResult } from '../../bench/variations.ts'

export const DOCUMENT: BenchDocument = {
  environment: {
    date: '2026-11-25T03:47:07.817Z',
    node: 'v26.10.0',
    platform: 'linux x64',
    cores: 2,
    cpu: 'AMD <EPYC> & others',
    loadAverage: 0.25
  },
  command: 'npm run bench -- --quick',
  pace: QUICK,
  checks: [{ name: 'a group: updates in applied sets', expected: 1000, found: 1000 }],
  verdicts: [
    { suite: 'group', what: '64 B, times postMessage', found: '2.46', wanted: 'at least 15', isMet: false },
    { suite: 'group', what: '4 KiB, times bare path', found: '1.18', wanted: 'at least 0.8', isMet: true },
    { suite: 'ring', what: 'of the ring', found: '1', wanted: 'at least 1', isMet: true }
  ],
  ok: true
}

export const RING_RESULTS: RingResult[] = [64, 4096].map((lengthBytes) => ({
  lengthBytes,
  rates: [rate('tidemark', 12_766_000), rate('ringbuf.js', 8_783_000), rate('postMessage', 748_000)]
}))

export const GROUP_RESULTS: GroupResult[] = [64, 4096].flatMap((lengthBytes) =>
  [2, 4].map((components) => ({
    lengthBytes,
    components,
    rate: { ...rate(`group of ${components}`, 1_236_000 / components), ratio: 17.31 },
    bare: rate('bare path', 2_345_000),
    timesBare: 0.876,
    copyRate: 12.5e9,
    postMessage: rate('postMessage', 345_000),
    loaded: latency(20_600),
    awaited: latency(105),
    flushed: latency(30.9),
    sets: 119,
    setsClosedEarly: 3
  }))
)

export const LATENCY_RESULTS: LatencyResult[] = [64, 512].flatMap((lengthBytes) =>
  [0.1, 0.8].map((part) => ({
    lengthBytes,
    highestRate: 1_000_000,
    part,
    group: latency(69.1),
    bare: latency(55.2),
    bareOwn: latency(70.5),
    ratioOwn: { p50: 0.98, p99: 1.21 },
    ratio: { p50: 1.25, p99: 1.37 }
  }))
)

export const VARIATION_RESULTS: VariationResult[] = [
  { name: '16 components', wanted: 2, costRatio: 2.31 },
  { name: 'all taken by the responsible one', wanted: undefined, costRatio: 0.63 }
].map((varied) => ({
  ...varied,
  setting: USUAL,
  rate: rate(varied.name, 456_000),
  usual: rate('usual group', 567_000),
  rateRatio: 0.8,
  sets: 27,
  setsClosedEarly: 0
}))

export const FAILOVER_RESULT: FailoverResult = {
  kills: [kills(4096, 'terminate', 11_760), kills(64, 'terminate', 34_670), kills(4096, 'hang', 116_000)],
  bare: { kills: 100, warmUpKills: 10, fenced: latency(900), redundant: latency(3920) },
  blocked: {
    forMs: 3000,
    kills: 1,
    sides: [{ mainThread: 'blocked', awaiting: [15.66], posting: [25.91], redundantMs: [24.79] }]
  },
  fullMemory: [
    {
      setting: { componentMemoryBytes: 2 ** 20, isOnDisk: true, kills: 350, warmUpKills: 20 },
      redundant: latency(10_020),
      killsPerSecond: 3.1,
      updatesPerSecond: 123_000,
      sets: 5714,
      setsClosedEarly: 5305
    }
  ]
}

export const PEERS_RESULT: PeersResult = {
  programs: [{ name: 'redis-server', file: '/usr/bin/redis-server', version: '7.0.15' }],
  leftOut: ['left out: nats-server is not on the PATH'],
  sizes: [
    {
      lengthBytes: 64,
      ways: [
        { rate: rate('group of 4', 9_000_000), groupTimes: 1, hasServers: false },
        { rate: rate('Redis stream', 190_000), groupTimes: 47.37, hasServers: true },
        { rate: rate('postMessage', 620_000), groupTimes: 14.52, hasServers: false }
      ]
    }
  ]
}

const DRAINED: DrainRate = { updatesPerSecond: 25_000, bytesPerSecond: 1.7e9, timesPlain: 0.77, timesUnfolded: 0.1 }

export const DRAIN_RESULT: DrainResult = {
  where: 'a disk',
  rows: ROWS.map((row) => ({
    ...row,
    setBytes: 2 ** 28,
    turns: [],
    secured: DRAINED,
    applied: { ...DRAINED, timesPlain: 0.53 },
    plainBytesPerSecond: 2.2e9,
    cpuNs: 37_000,
    ownCores: 0.7,
    otherCores: 0
  })),
  setsClosedEarly: 0
}

export const RESULTS = {
  ring: RING_RESULTS,
  group: GROUP_RESULTS,
  latency: LATENCY_RESULTS,
  variations: VARIATION_RESULTS,
  peers: PEERS_RESULT,
  drain: DRAIN_RESULT,
  failover: FAILOVER_RESULT
}

function rate(name: string, median: number): Rate {
  return {
    name,
    median,
    lowest: median / 2,
    highest: median * 2,
    samples: 3,
    batch: 1000,
    rounds: [median],
    ratio: 1,
    cpuNs: 78.4,
    sleeps: 5,
    pageFaults: 0,
    ownCores: 1.5,
    otherCores: 0.2
  }
}

/** Microseconds. */
function latency(p50: number): Latency {
  return { count: 248, p50, p90: p50 * 1.5, p99: p50 * 2, p999: p50 * 4, max: p50 * 5 }
}

function kills(lengthBytes: number, how: KillsSetting['how'], redundant: number): KillsResult {
  return {
    setting: {
      lengthBytes,
      heldBytes: 8 * 2 ** 20,
      componentMemoryBytes: 64 * 2 ** 20,
      takeover: 'spare',
      mirrors: 1,
      how,
      kills: 200,
      warmUpKills: 20
    },
    detected: latency(redundant / 10),
    reassigned: latency(redundant / 5),
    redundant: latency(redundant),
    waits: { awaiting: latency(redundant), posting: latency(redundant) },
    waitRatio: { p50: 1.05, max: 1.62, above: 0 },
    steps: { detect: 1.8, reassign: 0.6, mirror: 9 },
    heldBytes: 8.3 * 2 ** 20,
    movedUpdates: 3668,
    movedBytes: 8.3 * 2 ** 20,
    movedBytesPerSecond: 956e6,
    ownCores: 1.3,
    otherCores: 0.1
  }
}

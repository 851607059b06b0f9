/** Every byte of a directory's own files is wrong, or missing: all is as it must be afterwards, or it is refused and left alone. */
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TidemarkError } from '../../src/errors.ts'
import { boundaryOf, DIRECTORY, DiskRun, openRunDirectory, smallUpdates } from './disk-run.ts'
import { SimulatedDisk, unmount } from './simulated-disk.ts'

vi.setConfig({ testTimeout: 120_000 })

const OWN = path.join(DIRECTORY, 'tidemark')
/** Between the slots of a slot file nothing is ever read: of that a little is tried. */
const SLOT_STRIDE = 4096
const SLOT_BYTES = 512

let run: DiskRun
let disk: SimulatedDisk
let whole: unknown

beforeEach(() => {
  disk = new SimulatedDisk()
  disk.mount()
  run = new DiskRun(smallUpdates)
})
afterEach(unmount)

/** Set 1 is applied, 2 waits, 3 and 4 wait as one, 5 is half there. */
function killedWithSetsWaiting(): void {
  run.open()
  run.receiveAll(1)
  run.commit(1)
  run.apply(1)
  run.receiveAll(2)
  run.commit(2)
  run.receiveAll(3)
  run.receiveAll(4)
  run.commit(4, [3, 4], 'both')
  run.receive(5, 0)
  run.receive(5, 1, false)
  run.end()
  whole = disk.image()
}

function closedInOrder(): void {
  run.open()
  for (const set of [1, 2]) {
    run.receiveAll(set)
    run.commit(set)
    run.apply(set)
  }
  run.close()
  whole = disk.image()
}

function ownFiles(): string[] {
  const journal = fs.readdirSync(path.join(OWN, 'journal')).map((name) => `journal/${name}`)
  return [...journal, 'commits.log', 'state', 'ceiling', 'format.json']
}

function isTried(file: string, at: number): boolean {
  return (file !== 'state' && file !== 'ceiling') || at % SLOT_STRIDE <= SLOT_BYTES || at % 64 === 0
}

/** By file: how often it was refused, and how often not. */
type Outcomes = Record<string, { refused: number; recovered: number }>

/** At every byte of every file. Fails when the outcome is any other than the two that are right. */
function damageAll(damage: (bytes: Buffer, at: number) => Buffer): Outcomes {
  const outcomes: Outcomes = {}
  for (const file of ownFiles()) {
    const kind = file.startsWith('journal/') ? 'journal' : file
    outcomes[kind] ??= { refused: 0, recovered: 0 }
    const outcome = outcomes[kind]
    const bytes = fs.readFileSync(path.join(OWN, file))
    for (let at = 0; at < bytes.length; at++) {
      if (!isTried(file, at)) continue
      disk.load(whole)
      overwrite(path.join(OWN, file), damage(bytes, at))
      if (isRefused(`${file}, byte ${at}`)) outcome.refused++
      else outcome.recovered++
    }
    disk.load(whole)
  }
  return outcomes
}

function isRefused(where: string): boolean {
  const before = imagesNow()
  const error = openAndClose()
  if (error === undefined) {
    if (boundaryOf(run.boundaries) !== run.boundaries.length - 1) expect.fail(`${where}: sets are missing`)
    return false
  }
  expect(error.code, `${where}: ${error.message}`).toMatch(/^TIDEMARK_(CORRUPT|VERSION)$/)
  if (!imagesNow().equals(before)) expect.fail(`${where}: refused, but images were touched`)
  return true
}

function openAndClose(): TidemarkError | undefined {
  try {
    const directory = openRunDirectory()
    if (directory.lastSet < run.told.used) return new Error('identifiers come again') as TidemarkError
    directory.close()
    return undefined
  } catch (error) {
    return error as TidemarkError
  }
}

function imagesNow(): Buffer {
  return Buffer.concat([0, 1].map((n) => fs.readFileSync(path.join(DIRECTORY, `volumes/v${n}.img`))))
}

function overwrite(file: string, bytes: Buffer): void {
  const fd = fs.openSync(file, 'w')
  fs.writeSync(fd, bytes, 0, bytes.length, 0)
  fs.fdatasyncSync(fd)
  fs.closeSync(fd)
}

/** One bit, each of them in turn; at every ninth byte all of them. */
function flipped(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes)
  other[at] = (other[at] as number) ^ (at % 9 === 8 ? 0xff : 1 << (at % 9))
  return other
}

describe('with sets waiting in the journal', () => {
  beforeEach(killedWithSetsWaiting)

  test('every byte flipped in turn', () => {
    const { journal, ...others } = damageAll(flipped)
    expect(journal?.refused).toBeGreaterThan(1500)
    // Of the set that was never secured.
    expect(journal?.recovered).toBeGreaterThan(200)
    // What is there twice is not even missed.
    for (const file of ['commits.log', 'state', 'ceiling']) expect(others[file]?.refused, file).toBe(0)
    expect(others['commits.log']?.recovered).toBeGreaterThan(500)
  })

  test('every length that is too short', () => {
    const outcomes = damageAll((bytes, length) => bytes.subarray(0, length))
    for (const [file, { refused }] of Object.entries(outcomes)) expect(refused, file).toBeGreaterThan(20)
    expect(outcomes['commits.log']?.recovered).toBeGreaterThan(50)
  })

  test('each file missing', () => {
    for (const file of ownFiles().filter((name) => name !== 'format.json')) {
      disk.load(whole)
      fs.unlinkSync(path.join(OWN, file))
      expect(isRefused(file), file).toBe(true)
    }
  })
})

describe('closed in order', () => {
  beforeEach(closedInOrder)

  test('every byte flipped in turn: nothing that counts is there only once', () => {
    const outcomes = damageAll(flipped)
    for (const file of ['state', 'ceiling']) expect(outcomes[file]?.refused, file).toBe(0)
  })

  test('every length that is too short', () => {
    const outcomes = damageAll((bytes, length) => bytes.subarray(0, length))
    for (const file of ['state', 'ceiling', 'format.json']) expect(outcomes[file]?.refused, file).toBeGreaterThan(20)
  })
})

import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openSecondary } from '../../src/open-secondary.ts'
import { encodeCommit } from '../../src/secondary/commit-record.ts'
import { openExistingDirectory } from '../../src/secondary/directory.ts'
import { inspectDirectory } from '../../src/secondary/report.ts'
import { bytesOf, errorOf, flipByte, Rig, segmentOf, temporaryDirectory } from './support.ts'

const RECORD_BYTES = encodeCommit({
  ...{ set: 1, time: 1000, updates: 4, bytes: 0 },
  parts: Array.from({ length: 2 }, () => ({ updates: 2, bytes: 3000 }))
}).length

/** Two components, volume a of the first and b of the second. Set 1 is applied. */
function started(): Rig {
  const rig = new Rig({ directory: temporaryDirectory() })
  receive(rig, 1)
  rig.commit(1, 4)
  rig.apply(1)
  return rig
}

function receive(rig: Rig, set: number): void {
  rig.begin(set)
  fill(rig, set)
  rig.sync()
}

function fill(rig: Rig, set: number): void {
  for (const volume of [0, 1]) {
    rig.write(set, volume, 1, 10 * set, bytesOf(3000, set))
    rig.zero(set, volume, 2, 10 * set + 100, 50)
  }
}

/** Both volumes after these sets. */
function expectSets(rig: { image(volume: number): Buffer }, sets: number): void {
  for (const [volume, size] of [10_000, 4097].entries()) {
    const wanted = Buffer.alloc(size)
    for (let set = 1; set <= sets; set++)
      wanted.fill(set, 10 * set, 10 * set + 3000).fill(0, 10 * set + 100, 10 * set + 150)
    expect(rig.image(volume).equals(wanted), `volume ${volume} after set ${sets}`).toBe(true)
  }
}

function reopenAndExpect(rig: Rig, sets: number): void {
  const { directory } = rig.directory.layout
  const again = new Rig({ directory })
  expectSets(again, sets)
  expect(inspectDirectory(directory)).toMatchObject({
    clean: true,
    appliedSet: sets,
    securedSet: sets,
    applying: null,
    consistencyTime: 1000 * sets
  })
  expect(fs.readdirSync(path.join(directory, 'tidemark/journal'))).toEqual([])
  // It works on, with identifiers that were never used.
  expect(again.directory.lastSet).toBe(1000)
  again.begin(1001)
  again.write(1001, 0, 1, 9_999, bytesOf(1, 7))
  again.sync()
  again.commit(1001)
  again.apply(1001)
  expect(again.image(0)[9_999]).toBe(7)
  again.close()
}

describe('killed', () => {
  test('while a set is received: dropped', () => {
    const rig = started()
    rig.begin(2)
    fill(rig, 2)
    rig.kill()
    reopenAndExpect(rig, 1)
  })

  test('when it is journaled everywhere and not committed: dropped', () => {
    const rig = started()
    receive(rig, 2)
    rig.kill()
    expect(inspectDirectory(rig.directory.layout.directory)).toMatchObject({ clean: true, securedSet: 1 })
    reopenAndExpect(rig, 1)
  })

  test('when it is committed: redone', () => {
    const rig = started()
    receive(rig, 2)
    rig.commit(2, 4)
    rig.kill()
    expect(inspectDirectory(rig.directory.layout.directory)).toMatchObject({
      clean: false,
      securedSet: 2,
      appliedSet: 1
    })
    reopenAndExpect(rig, 2)
  })

  test('between the commit record and the state: redone', () => {
    const rig = started()
    receive(rig, 2)
    const before = fs.readFileSync(rig.directory.layout.state)
    rig.commit(2, 4)
    fs.writeFileSync(rig.directory.layout.state, before)
    rig.kill()
    expect(inspectDirectory(rig.directory.layout.directory)).toMatchObject({
      clean: false,
      securedSet: 2,
      appliedSet: 1
    })
    reopenAndExpect(rig, 2)
  })

  test('within the commit record: dropped', () => {
    const rig = started()
    receive(rig, 2)
    const before = fs.readFileSync(rig.directory.layout.state)
    rig.commit(2, 4)
    fs.writeFileSync(rig.directory.layout.state, before)
    const { commits } = rig.directory.layout
    // Of its two copies not even the first is whole.
    fs.truncateSync(commits, fs.statSync(commits).size - RECORD_BYTES / 2 - 1)
    rig.kill()
    reopenAndExpect(rig, 1)
  })

  test('when it is announced, half applied, applied by one component, applied and not marked: redone', () => {
    for (const stage of ['announced', 'half', 'one', 'all']) {
      const rig = started()
      receive(rig, 2)
      rig.commit(2, 4)
      rig.first.announce(2)
      if (stage === 'half') {
        // Bytes of the set and bytes of nobody in its range, as a write cut short leaves them.
        const image = rig.directory.volumes[0]?.path ?? ''
        const bytes = fs.readFileSync(image).fill(2, 20, 1000).fill(0xdd, 1000, 3020)
        fs.writeFileSync(image, bytes)
      }
      if (stage === 'one' || stage === 'all') {
        rig.first.beginApply(2)
        while (!rig.first.applySome());
      }
      if (stage === 'all') {
        rig.stores[1]?.beginApply(2)
        while (rig.stores[1]?.applySome() === false);
      }
      rig.kill()
      expect(inspectDirectory(rig.directory.layout.directory)).toMatchObject({
        clean: false,
        applying: 2,
        appliedSet: 1
      })
      reopenAndExpect(rig, 2)
    }
  })

  test('with several sets waiting and one half received: redone in order', () => {
    const rig = started()
    for (const set of [2, 3, 4]) {
      receive(rig, set)
      rig.commit(set, 4)
    }
    rig.first.announce(2)
    rig.applyAll(2)
    rig.begin(5)
    fill(rig, 5)
    rig.kill()
    reopenAndExpect(rig, 4)
  })

  test('while it recovers: the next recovery finishes', () => {
    const rig = started()
    for (const set of [2, 3]) {
      receive(rig, set)
      rig.commit(set, 4)
    }
    rig.kill()
    const { layout } = rig.directory
    const aborted = AbortSignal.abort(new Error('stop'))
    expect(() => openExistingDirectory(layout.directory, { signal: aborted })).toThrow('stop')
    expect(fs.existsSync(layout.lock)).toBe(false)
    reopenAndExpect(rig, 3)
  })

  test('openSecondary recovers without knowing the volumes; readOnly changes nothing', async () => {
    const rig = started()
    receive(rig, 2)
    rig.commit(2, 4)
    rig.kill()
    const { directory } = rig.directory.layout
    const reader = await openSecondary(directory, { readOnly: true })
    expect(await reader.inspect()).toMatchObject({ clean: false, appliedSet: 1 })
    await reader.close()
    expectSets(rig, 1)
    const secondary = await openSecondary(directory)
    expect(await secondary.inspect()).toMatchObject({ clean: true, appliedSet: 2 })
    await expect(openSecondary(directory)).rejects.toMatchObject({ code: 'TIDEMARK_LOCKED' })
    expect(await secondary.restore(path.join(temporaryDirectory(), 'copy'))).toMatchObject({ set: 2, updates: 4 })
    expect(await secondary.verify()).toMatchObject({ ok: true, set: 2 })
    await secondary.close()
    await expect(secondary.inspect()).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
    expectSets(rig, 2)
  })

  test('an end that leaves a secured set behind keeps its journal', () => {
    const rig = started()
    receive(rig, 2)
    rig.commit(2, 4)
    rig.close()
    expectSets(rig, 1)
    reopenAndExpect(rig, 2)
  })
})

describe('damage', () => {
  /** Set 2 is secured and not applied; `spoil` damages what is on the disk. */
  function spoilt(spoil: (rig: Rig, directory: string) => void): { rig: Rig; directory: string } {
    const rig = new Rig({ directory: temporaryDirectory() })
    receive(rig, 1)
    rig.commit(1, 4)
    const { directory } = rig.directory.layout
    rig.kill()
    spoil(rig, directory)
    return { rig, directory }
  }

  test('every flipped byte of a secured set in the journal is noticed, and nothing is applied', () => {
    const { rig, directory } = spoilt(() => {})
    const segment = segmentOf(directory, 1)
    const { size } = fs.statSync(segment)
    let tried = 0
    for (let position = 0; position < size; position += position < 200 || position > size - 100 ? 1 : 97) {
      flipByte(segment, position)
      const error = errorOf(() => openExistingDirectory(directory))
      expect(error.code, `byte ${position}`).toBe('TIDEMARK_CORRUPT')
      expect(error.details).toMatchObject({ set: 1, component: 1 })
      flipByte(segment, position)
      tried++
    }
    expect(tried).toBeGreaterThan(300)
    expectSets(rig, 0)
    openExistingDirectory(directory).close()
    expectSets(rig, 1)
  })

  test('a truncated journal of a secured set is noticed wherever it ends', () => {
    const { rig, directory } = spoilt(() => {})
    const segment = segmentOf(directory, 0)
    const whole = fs.readFileSync(segment)
    for (let length = 0; length < whole.length; length += length < 300 || length > whole.length - 60 ? 1 : 89) {
      fs.writeFileSync(segment, whole.subarray(0, length))
      expect(errorOf(() => openExistingDirectory(directory)).code, `length ${length}`).toBe('TIDEMARK_CORRUPT')
    }
    fs.rmSync(segment)
    expect(errorOf(() => openExistingDirectory(directory)).code).toBe('TIDEMARK_CORRUPT')
    expectSets(rig, 0)
  })

  test('a torn tail of a set that was not secured is no damage', () => {
    const rig = started()
    receive(rig, 2)
    rig.commit(2, 4)
    const { directory } = rig.directory.layout
    const segment = segmentOf(directory, 0)
    const before = fs.statSync(segment).size
    receive(rig, 3)
    rig.kill()
    const { size } = fs.statSync(segment)
    expect(size).toBeGreaterThan(before)
    fs.truncateSync(segment, before + Math.floor((size - before) / 2))
    reopenAndExpect(rig, 2)
  })

  test('a lost or damaged commit record is noticed', () => {
    const flipRecord = (file: string, n: number): void => {
      for (const copy of [0, RECORD_BYTES / 2]) flipByte(file, n * RECORD_BYTES + copy + 20)
    }
    const { directory } = spoilt((rig) => flipRecord(rig.directory.layout.commits, 0))
    expect(errorOf(() => inspectDirectory(directory)).code).toBe('TIDEMARK_CORRUPT')
    expect(errorOf(() => openExistingDirectory(directory))).toMatchObject({
      code: 'TIDEMARK_CORRUPT',
      details: { set: 1 }
    })
    // One in the middle: what comes after it does not hide it.
    const rig = started()
    for (const set of [2, 3]) {
      receive(rig, set)
      rig.commit(set, 4)
    }
    rig.kill()
    flipRecord(rig.directory.layout.commits, 1)
    const error = errorOf(() => openExistingDirectory(rig.directory.layout.directory))
    expect(error).toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { before: 3 } })
    expectSets(rig, 1)
  })

  test('a missing or wrongly sized image is noticed', () => {
    const { directory } = spoilt((rig) => fs.truncateSync(rig.directory.volumes[0]?.path ?? '', 9_999))
    const error = errorOf(() => openExistingDirectory(directory))
    expect(error).toMatchObject({ code: 'TIDEMARK_CORRUPT', details: { volume: 'a', size: 9_999, expected: 10_000 } })
    fs.rmSync(path.join(directory, 'volumes/a.img'))
    expect(errorOf(() => openExistingDirectory(directory)).details).toMatchObject({ volume: 'a', size: null })
  })

  test('one damaged slot of the state costs nothing that was durable, all of them are noticed', () => {
    const rig = started()
    rig.kill()
    const { state, directory } = rig.directory.layout
    const whole = fs.readFileSync(state)
    // The visible slot: the announcement of set 1, long past.
    flipByte(state, 8192 + 30)
    expect(inspectDirectory(directory)).toMatchObject({ clean: true, appliedSet: 1 })
    fs.writeFileSync(state, whole)
    for (const slot of [0, 4096, 8192]) flipByte(state, slot + 30)
    expect(errorOf(() => inspectDirectory(directory)).code).toBe('TIDEMARK_CORRUPT')
    expect(errorOf(() => openExistingDirectory(directory)).code).toBe('TIDEMARK_CORRUPT')
  })

  test('a torn mark: the set is redone', () => {
    const rig = started()
    receive(rig, 2)
    rig.commit(2, 4)
    rig.first.announce(2)
    rig.applyAll(2)
    const before = fs.readFileSync(rig.directory.layout.state)
    rig.first.mark(2)
    const after = fs.readFileSync(rig.directory.layout.state)
    const slot = [0, 4096].find((at) => !before.subarray(at, at + 512).equals(after.subarray(at, at + 512)))
    flipByte(rig.directory.layout.state, (slot ?? Number.NaN) + 40)
    rig.kill()
    expect(inspectDirectory(rig.directory.layout.directory)).toMatchObject({ clean: false, appliedSet: 1, applying: 2 })
    // The durable write before it is whole, also without what was only to be seen.
    flipByte(rig.directory.layout.state, 8192 + 40)
    expect(inspectDirectory(rig.directory.layout.directory)).toMatchObject({
      appliedSet: 1,
      applying: null,
      securedSet: 2
    })
    reopenAndExpect(rig, 2)
  })
})

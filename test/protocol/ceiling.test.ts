/** The ceiling of set identifiers, and what has no room on its disk. */
import { describe, expect, test } from 'vitest'
import { TidemarkError } from '../../src/errors.ts'
import { Ceiling } from '../../src/protocol/ceiling.ts'
import { Patience } from '../../src/protocol/patience.ts'

const full = (): TidemarkError => new TidemarkError('TIDEMARK_NO_SPACE', 'full', { path: '/x', action: 'write' })

describe('the ceiling', () => {
  test('is raised before an identifier above it is handed out, and rarely', () => {
    const raised: number[] = []
    const ceiling = new Ceiling({ raise: (set) => void raised.push(set) }, 0)
    for (let set = 1; set <= 3000; set++) {
      expect(ceiling.allows(set, 0)).toBe(true)
      expect(raised.at(-1)).toBeGreaterThanOrEqual(set)
    }
    expect(raised).toEqual([1025, 2050, 3075])
  })

  test('without room for it no set is handed out; it is said once, and tried again ever later', () => {
    let isFull = true
    let tries = 0
    const said: (string | undefined)[] = []
    const ceiling = new Ceiling(
      {
        raise: () => {
          tries++
          if (isFull) throw full()
        },
        onNoSpace: (error) => said.push(error?.message)
      },
      0
    )
    expect(ceiling.triesInMs(0)).toBe(Number.POSITIVE_INFINITY)
    const attempts: number[] = []
    for (let now = 0; now < 10_000; now++) {
      const before = tries
      expect(ceiling.allows(1, now)).toBe(false)
      if (tries > before) attempts.push(now)
      expect(ceiling.triesInMs(now)).toBeGreaterThan(0)
    }
    expect(attempts.slice(0, 9)).toEqual([0, 10, 30, 70, 150, 310, 630, 1270, 2270])
    isFull = false
    expect(ceiling.allows(1, 20_000)).toBe(true)
    expect(said).toEqual(['full', undefined])
    expect(ceiling.triesInMs(20_000)).toBe(Number.POSITIVE_INFINITY)
  })

  test('any other error is not waited for', () => {
    const ceiling = new Ceiling(
      {
        raise: () => {
          throw new TidemarkError('TIDEMARK_CORRUPT', 'broken')
        }
      },
      0
    )
    expect(() => ceiling.allows(1, 0)).toThrow('broken')
  })
})

describe('patience', () => {
  test('is only for want of room, and not where a sync has failed', () => {
    expect(Patience.allows(full())).toBe(true)
    expect(Patience.allows(new TidemarkError('TIDEMARK_NO_SPACE', 'full', { action: 'sync' }))).toBe(false)
    expect(Patience.allows(new Error('ENOSPC'))).toBe(false)
  })

  test('a clock that is set back does not make it wait longer', () => {
    const patience = new Patience()
    patience.failed(full(), 3600_000_000)
    expect(patience.restUs(3600_000_001)).toBe(9999)
    expect(patience.restUs(0)).toBe(0)
  })
})

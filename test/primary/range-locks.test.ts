import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Place, RangeLocks } from '../../src/primary/range-locks.ts'

interface Call {
  readonly from: number
  readonly to: number
  readonly kind: 'look' | 'change'
  readonly place: Place
  granted: boolean
  done: boolean
}

const overlap = (a: Call, b: Call): boolean =>
  a.from < b.to && b.from < a.to && (a.kind === 'change' || b.kind === 'change')

test('calls go on when all that overlap and were made before are done, and then at once', async () => {
  const call = fc.record({
    from: fc.nat(100),
    length: fc.integer({ min: 1, max: 40 }),
    kind: fc.constantFrom('look' as const, 'change' as const),
    /** How many others end before it is made. */
    ends: fc.nat(2),
    which: fc.nat(1000)
  })
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 40 }), async (script) => {
      const locks = new RangeLocks(16)
      const calls: Call[] = []
      const check = async (): Promise<void> => {
        await setImmediate()
        for (const [n, one] of calls.entries()) {
          const isFree = calls.slice(0, n).every((earlier) => earlier.done || !overlap(earlier, one))
          expect(one.granted, `call ${n}`).toBe(isFree)
        }
      }
      const end = async (which: number): Promise<void> => {
        const running = calls.filter(({ granted, done }) => granted && !done)
        const one = running[which % Math.max(1, running.length)]
        if (one === undefined) return
        one.done = true
        one.place.release()
        await check()
      }
      for (const { from, length, kind, ends, which } of script) {
        for (let n = 0; n < ends; n++) await end(which + n)
        const place = locks.take(from, length, kind)
        const one: Call = { from, to: from + length, kind, place, granted: place.granted === undefined, done: false }
        place.granted?.then(() => {
          one.granted = true
        })
        calls.push(one)
        await check()
      }
      while (calls.some(({ done }) => !done)) await end(0)
    }),
    { numRuns: 200 }
  )
})

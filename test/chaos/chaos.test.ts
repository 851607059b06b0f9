/** The chaos run itself, on real threads. A longer one: TIDEMARK_CHAOS_SECONDS; another one: TIDEMARK_CHAOS_SEED. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { KILLS, KINDS } from '../../chaos/kinds.ts'
import { describeFailure, runChaos } from '../../chaos/run.ts'

const SECONDS = Number(process.env.TIDEMARK_CHAOS_SECONDS ?? 20)
const SEED = Number(process.env.TIDEMARK_CHAOS_SEED ?? 1)

test(
  `${SECONDS} s of chaos: nothing acknowledged is lost, every copy is consistent, nobody sees an error`,
  async () => {
    const { totals, failure } = await runChaos({
      seed: SEED,
      seconds: SECONDS,
      rounds: Number.POSITIVE_INFINITY,
      kinds: KINDS
    })
    if (failure !== undefined) expect.fail(describeFailure(failure))
    // It did what it is for.
    const kills = KILLS.map((how) => totals.kills[how])
    expect(Math.min(...kills)).toBeGreaterThan(0)
    expect(totals.views).toBeGreaterThan(SECONDS)
    expect(totals.stalls).toBeGreaterThan(0)
    expect(totals.copiesChecked).toBeGreaterThan(SECONDS)
    expect(totals.updates).toBeGreaterThan(SECONDS * 100)
    expect(totals.setsApplied).toBeGreaterThan(SECONDS)
  },
  // A round ends after its time, and a standstill is noticed after 20 s.
  (SECONDS + 60) * 1000
)

interface Outcome {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

function command(...args: string[]): Promise<Outcome> {
  const main = path.join(import.meta.dirname, '../../chaos/main.ts')
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 'signal'), stdout, stderr })
    })
  })
}

describe('npm run chaos', () => {
  test('--json prints one document with the totals', async () => {
    const { code, stdout, stderr } = await command('--rounds', '1', '--seed', '3', '--only', 'sets,hold,look', '--json')
    expect(code, stderr).toBe(0)
    const document = JSON.parse(stdout)
    // Views there may be all the same: on a busy machine someone is taken for hung.
    const kills = { terminate: 0, exit: 0, throw: 0, hang: 0 }
    expect(document).toMatchObject({ ok: true, seed: 3, totals: { rounds: 1, kills } })
    expect(stderr).toContain('round 1, seed 3: components')
  })

  test.each([
    [['--seconds', '0'], '--seconds must be'],
    [['--seconds', '1', '--minutes', '1'], 'either'],
    [['--seed', 'x'], '--seed must be'],
    [['--rounds', '0'], '--rounds must be'],
    [['--only', 'earthquake'], "there is no havoc 'earthquake'"],
    [['--unknown'], '--unknown']
  ])('%j is refused with exit code 2 and the usage', async (args, said) => {
    const { code, stdout, stderr } = await command(...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(said)
    expect(stderr).toContain('npm run chaos --')
  })

  test('--help', async () => {
    expect(await command('--help')).toMatchObject({ code: 0, stderr: '' })
  })
})

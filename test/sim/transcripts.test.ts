/**
 * Stories of a small group, told by the simulator, to learn the protocol from and to see what a change of it changes.
 * TIDEMARK_TRANSCRIPTS=write writes them anew; what has changed is then for a person to read.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fixedScenario, type Scenario } from '../../src/sim/scenario.ts'
import type { ScriptedSource } from '../../src/sim/sim-source.ts'
import { World } from '../../src/sim/world.ts'

const FOLDER = fileURLToPath(new URL('../transcripts/', import.meta.url))
const WRITES = process.env.TIDEMARK_TRANSCRIPTS === 'write'

interface Transcript {
  readonly name: string
  readonly heading: string
  readonly scenario?: Partial<Scenario>
  readonly scripts: readonly ScriptedSource[]
  readonly detailed?: boolean
  /** What comes after this line is left out. */
  readonly until?: RegExp
  /** What is done when a line of this beginning is told for the first time. */
  readonly on?: Readonly<Record<string, (world: World) => void>>
  /** The line that the story comes down to: without it nothing was shown. */
  readonly shows: RegExp
}

/** Update n of this source goes to volume volumes[n]. */
function source(attached: number, ...volumes: number[]): ScriptedSource {
  return { attached, writes: volumes.map((volume, n) => ({ volume, offset: n * 2, text: `w${n}` })) }
}

const TRANSCRIPTS: readonly Transcript[] = [
  {
    name: 'one-update',
    heading:
      'The whole way of one update. It is taken by component 1; component 0 is responsible for its volume. Three components, one mirror.',
    scripts: [source(1, 0)],
    detailed: true,
    shows: /^secondary: the volumes are what the primary's were when set 1 closed/
  },
  {
    name: 'two-mirrors',
    heading:
      'Two mirrors: three components hold each update. Component 1 sends 0:0 to component 0, which is responsible and passes it on; 0:1 is its own.',
    scenario: { members: 4, mirrors: 2 },
    scripts: [source(1, 0, 1)],
    shows: /^component 1: acknowledges 0:0, .* held by components 0, 1 and \d/
  },
  {
    name: 'failure-spare',
    heading:
      'Component 0 dies with acknowledged updates that it is responsible for, and one that is not acknowledged. A spare takes its slot.',
    scripts: [source(1, 0, 1), source(0, 0, 1)],
    on: { 'component 0: takes 1:1': (world) => world.faults.kill(0) },
    shows: /^component 0: gets 0:0 of set 1, sequence \d, from component 1/
  },
  {
    name: 'failure-survivors',
    heading:
      'The same death without a spare: the others take over its volumes, its source and its copies; another component joins later.',
    scenario: { takeover: 'survivors' },
    scripts: [
      source(1, 0, 1),
      source(0, 0, 1),
      // It goes on until the other one has joined.
      { attached: 1, writes: [{ volume: 1, offset: 8, text: 'w0', afterSets: 1 }] }
    ],
    on: { 'component 0: takes 1:1': (world) => world.faults.kill(0) },
    shows: /^control: view 2 stands with components 0, 1 and 2/
  },
  {
    name: 'death-during-change',
    heading:
      'Five components, two mirrors. Component 0 dies; while the others restore what it held, component 2 dies too, having sent a copy to component 1. The change begins again from what was true before: that copy never was, as its view did not stand, and component 3 sends another one.',
    scenario: { members: 5, slots: 5, mirrors: 2, takeover: 'survivors' },
    scripts: [source(2, 0, 1)],
    on: {
      'component 2: acknowledges 0:1': (world) => world.faults.kill(0),
      'component 1: gets 0:0': (world) => world.faults.kill(2)
    },
    until: /^control: view 2 stands/,
    shows: /^control: view 2 begins, component 2 comes to its end/
  },
  {
    name: 'join',
    heading:
      'A component joins: it is given its share of the sources at once, and of the volumes from the next set on.',
    scenario: { volumes: 3 },
    scripts: [
      source(0, 0, 1, 2),
      source(0, 2),
      {
        attached: 0,
        writes: [
          { volume: 1, offset: 8, text: 'w0' },
          { volume: 2, offset: 8, text: 'w1', afterSets: 1 }
        ]
      }
    ],
    on: { 'component 0: acknowledges 0:0': (world) => world.faults.add() },
    shows: /^component 3: takes 2:1 into set 2, is responsible/
  },
  {
    name: 'leave',
    heading:
      'Component 2 leaves: it is given nothing more, goes when its sets are secured, and nothing has to be moved.',
    scripts: [source(2, 1, 0, 1)],
    on: { 'component 2: acknowledges 0:0': (world) => world.faults.remove(2) },
    shows: /^control: view 2 stands with components 0 and 1$/
  },
  {
    name: 'more-deaths-than-mirrors',
    heading:
      'Both components that hold 0:1 die at once, with one mirror. The group is suspended and says what is lost; the secondary stays at its last whole set.',
    scripts: [
      {
        attached: 0,
        writes: [
          { volume: 0, offset: 0, text: 'w0' },
          { volume: 1, offset: 0, text: 'w1', afterSets: 1 }
        ]
      }
    ],
    on: {
      'component 0: acknowledges 0:1': (world) => {
        world.faults.kill(0)
        world.faults.kill(2)
      }
    },
    shows: /^control: the group is suspended, set \d is not conserved/
  }
]

function tell(transcript: Transcript): string[] {
  const { scenario, scripts, on = {}, detailed = false } = transcript
  const lines: string[] = []
  const told = new Set<string>()
  const world: World = new World(1, {
    scenario: fixedScenario({ sources: scripts.length, ...scenario }),
    scripts,
    detailed,
    trace: (line) => {
      lines.push(line)
      for (const [beginning, happens] of Object.entries(on)) {
        if (!line.startsWith(beginning) || told.has(beginning)) continue
        told.add(beginning)
        happens(world)
      }
    }
  })
  world.run(0)
  // A line that never came has let nothing happen.
  expect([...told]).toEqual(Object.keys(on))
  const { until } = transcript
  const last = until === undefined ? -1 : lines.findIndex((line) => until.test(line))
  return last < 0 ? lines : lines.slice(0, last + 1)
}

/** The heading in lines of a width that is read easily. */
function headingOf(text: string): string {
  return text.replace(/(.{1,96})( |$)/g, '# $1\n')
}

test.each(TRANSCRIPTS)('$name', (transcript) => {
  const lines = tell(transcript)
  expect(lines.filter((line) => transcript.shows.test(line)).length).toBeGreaterThan(0)
  const text = `${headingOf(transcript.heading)}\n${lines.join('\n')}\n`
  const file = `${FOLDER}${transcript.name}.txt`
  if (WRITES) writeFileSync(file, text)
  expect(text).toBe(readFileSync(file, 'utf8'))
})

test('each transcript that is kept is told', () => {
  expect(readdirSync(FOLDER).sort()).toEqual(TRANSCRIPTS.map(({ name }) => `${name}.txt`).sort())
})

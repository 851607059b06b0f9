import { Board } from '../../src/memory/board.ts'
import { BenchThread } from '../bench-thread.ts'
import { type Check, notHung } from '../checks.ts'
import type { Contestant } from '../measure.ts'
import { elapsedMs, type PostRequest, type PostResult } from '../posting.ts'
import { allocateBare, type BareMemory } from './memory.ts'

export interface BareComponentData {
  readonly memory: BareMemory
  readonly slot: number
}
export interface BareComponentResult {
  readonly sequenced: number
}
export interface BareSourceData {
  readonly memory: BareMemory
  readonly index: number
  readonly lengthBytes: number
}

/**
 * The yardstick of a group: the same hops, copies and wake-ups on the same number of threads, and nothing else.
 *
 *      source --ring--> component: own copy, and one in the arena of the responsible component, or of a mirror
 *                       link to that one: it gives the sequence, answers; the source's position moves on
 *
 * Built from the memory layer alone. Memory is used again as soon as its region has been gone around.
 */
export class BarePath implements Contestant {
  readonly name: string
  readonly board: Board
  private readonly lengthBytes: number
  private readonly components: BenchThread<'run', BareComponentResult>[]
  private readonly ends: Promise<BareComponentResult>[]
  private readonly sources: BenchThread<PostRequest, PostResult>[]
  private readonly posted: number[] = []

  constructor(components: number, sources: number, volumes: number, lengthBytes: number) {
    this.name = `bare path of ${components}`
    this.lengthBytes = lengthBytes
    const memory = allocateBare(components, sources, volumes)
    this.board = new Board(memory.board, memory.boardLayout)
    this.components = memory.arenas.map((_, slot) => {
      const data: BareComponentData = { memory, slot }
      return new BenchThread('bare-component', data)
    })
    this.ends = this.components.map((component) => component.ask('run'))
    this.sources = memory.sources.map((_, index) => {
      const data: BareSourceData = { memory, index, lengthBytes }
      return new BenchThread('bare-source', data)
    })
  }

  async run(count: number): Promise<number> {
    return elapsedMs(await this.askAll({ type: 'post', count: Math.ceil(count / this.sources.length) }))
  }

  /** @param perSecond  of all sources together */
  async pace(perSecond: number, forMs: number): Promise<void> {
    await this.askAll({ type: 'paced', perSecond: perSecond / this.sources.length, forMs })
  }

  /** Ends it. Every update was sequenced once. */
  async close(): Promise<Check[]> {
    this.board.storeShutdown(1)
    for (const parking of this.board.parking) parking.wake()
    const results = await notHung(`${this.name}: ending`, Promise.all(this.ends))
    await Promise.all([...this.components, ...this.sources].map((thread) => thread.close()))
    return [
      {
        name: `${this.name}, ${this.lengthBytes} B: updates that were sequenced`,
        expected: this.posted.reduce((sum, count) => sum + count, 0),
        found: results.reduce((sum, { sequenced }) => sum + sequenced, 0)
      }
    ]
  }

  private async askAll(request: PostRequest): Promise<PostResult[]> {
    const asked = this.sources.map((source) => source.ask(request))
    const results = await notHung(`${this.name}, ${this.lengthBytes} B: ${request.type}`, Promise.all(asked))
    for (const [source, result] of results.entries()) this.posted[source] = result.posted
    return results
  }
}

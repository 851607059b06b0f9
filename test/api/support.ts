import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { type BackupGroup, type GroupOptions, openGroup } from '../../src/index.ts'

export { imageOf } from './image.ts'

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidemark-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A group that is closed after the test, whatever became of it. */
export async function openTestGroup(options: Partial<GroupOptions> = {}): Promise<BackupGroup> {
  const group = await openGroup({
    volumes: [
      { name: 'a', size: 65536 },
      { name: 'b', size: 1000 },
      { name: 'c', size: 0 }
    ],
    components: 3,
    componentMemoryBytes: 16 * 2 ** 20,
    formationPeriodMs: 20,
    secondary: 'discard',
    ...options
  })
  onTestFinished(() => group.close({ drain: false }))
  return group
}

/** Identifiers of the components that work, in rising order. */
export function activeIds(group: BackupGroup): number[] {
  return group
    .status()
    .components.filter(({ state }) => state === 'active')
    .map(({ id }) => id)
}

/** Resolves when so many components are active: others come by themselves. */
export async function untilActive(group: BackupGroup, count: number): Promise<void> {
  while (activeIds(group).length < count) await new Promise<void>((resolve) => group.once('view', () => resolve()))
}

/** Numbers that a seed decides. */
export function seeded(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) % bound
  }
}

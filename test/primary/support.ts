import fs from 'node:fs'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { type BackupGroup, type GroupOptions, openGroup } from '../../src/index.ts'
import { directoryInMemory } from './crash-support.ts'

export const SIZE = 2 * 2 ** 20 + 777

export interface Place {
  readonly directory: string
  readonly secondary: string
  readonly primary: string
}

/** A primary file with some content, in a directory that is gone after the test. */
export function makePlace(content: Buffer = contentOf(SIZE, 1)): Place {
  const directory = directoryInMemory()
  const primary = path.join(directory, 'a.img')
  fs.writeFileSync(primary, content)
  return { directory, primary, secondary: path.join(directory, 'secondary') }
}

/** Bytes that differ from place to place, and nowhere are zero. */
export function contentOf(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) bytes[at] = 1 + ((at * 31 + (at >>> 8) * 7 + seed * 101) % 255)
  return bytes
}

export async function openGroupAt(place: Place, options: Partial<GroupOptions> = {}): Promise<BackupGroup> {
  const group = await openGroup({
    volumes: [{ name: 'a', size: SIZE }],
    components: 2,
    spares: 0,
    componentMemoryBytes: 16 * 2 ** 20,
    formationPeriodMs: 20,
    secondary: { directory: place.secondary, components: 1 },
    ...options
  })
  onTestFinished(() => group.close({ drain: false }))
  return group
}

export function imagePathOf(place: Place, volume = 'a'): string {
  return path.join(place.secondary, 'volumes', `${volume}.img`)
}

export function areSame(place: Place): boolean {
  return fs.readFileSync(place.primary).equals(fs.readFileSync(imagePathOf(place)))
}

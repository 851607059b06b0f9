import { readFileSync } from 'node:fs'
import path from 'node:path'

/** What a secondary volume holds. (In a file of its own for programs that tests start.) */
export function imageOf(directory: string, volume: string): Buffer {
  return readFileSync(path.join(directory, 'volumes', `${volume}.img`))
}

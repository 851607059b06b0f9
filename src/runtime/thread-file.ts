import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The file of a thread beside this one: `.ts` when run from sources, `.js` as published. */
export function threadFile(name: string): string {
  const here = fileURLToPath(import.meta.url)
  return path.join(path.dirname(here), name + path.extname(here))
}

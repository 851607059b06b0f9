/** The oldest Node.js that runs tidemark; `engines` in package.json says the same (a test compares them). */
export const oldestNodeVersion = '22.19.0'

/** What to tell the user of a Node.js that is too old, or undefined where `found` (as in process.versions.node) will do. */
export function nodeVersionRefusal(found: string): string | undefined {
  if (atLeast(numbers(found), numbers(oldestNodeVersion))) return undefined
  return `tidemark needs Node.js ${oldestNodeVersion} or newer, this is ${found}`
}

function numbers(version: string): number[] {
  // A pre-release (`22.19.0-nightly...`) counts as its release: parseInt stops at the dash.
  return version.split('.').map((part) => Number.parseInt(part, 10))
}

function atLeast(found: number[], wanted: number[]): boolean {
  for (const [place, least] of wanted.entries()) {
    const number = found[place] ?? 0
    if (number !== least) return number > least
  }
  return true
}

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { nodeVersionRefusal, oldestNodeVersion } from '../src/node-version.ts'

test.each(['22.19.0', '22.19.1', '22.20.0', '24.0.0', '26.10.0', '100.0.0', '22.19.0-nightly20260101'])(
  '%s is new enough',
  (version) => {
    expect(nodeVersionRefusal(version)).toBeUndefined()
  }
)

test.each(['0.12.18', '18.20.8', '20.20.2', '21.99.99', '22.0.0', '22.9.0', '22.18.9'])('%s is refused', (version) => {
  expect(nodeVersionRefusal(version)).toBe(`tidemark needs Node.js 22.19.0 or newer, this is ${version}`)
})

test('package.json asks for the same version', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  expect(`${manifest.engines.node}.0`).toBe(`>=${oldestNodeVersion}`)
})

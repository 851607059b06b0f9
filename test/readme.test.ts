import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

test("the README's embedding example is the one that is compiled and run against the package", () => {
  const [, example] = /```ts\n([\s\S]*?)```/.exec(read('README.md')) ?? []
  expect(example).toBe(read('test/package/embed.ts'))
})

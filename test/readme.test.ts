import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

test("the README's examples are the ones that are compiled and run against the package", () => {
  const examples = Array.from(read('README.md').matchAll(/```ts\n([\s\S]*?)```/g), ([, example]) => example)
  expect(examples).toEqual(['embed', 'primary-file', 'failing'].map((name) => read(`test/package/${name}.ts`)))
})

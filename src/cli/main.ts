#!/usr/bin/env node
// Looks at the version of Node.js before anything else is loaded: an old one could not even link the rest.
import { nodeVersionRefusal } from '../node-version.ts'

const refusal = nodeVersionRefusal(process.versions.node)
if (refusal !== undefined) {
  process.stderr.write(`${refusal}\n`)
  process.exitCode = 2
} else {
  import('./commands.ts').then(({ main }) =>
    main(process.argv.slice(2)).then((code) => {
      process.exitCode = code
    })
  )
}

// What a user of the package writes. scripts/check-package.mjs compiles and runs it against the packed tarball.
import { openGroup } from 'tidemark'

if (typeof openGroup !== 'function') throw new Error('openGroup is not a function')
console.log('embedded')

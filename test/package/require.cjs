// The package is ESM only; CommonJS users of a supported Node.js reach it by require all the same.
const { openGroup } = require('tidemark')

if (typeof openGroup !== 'function') throw new Error('openGroup is not a function')
console.log('required')

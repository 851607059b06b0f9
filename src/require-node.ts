/**
 * The first import of index.ts: throws on a Node.js that is too old. It can only speak up where all modules linked, so
 * modules behind index.ts do not import names from `node:` by name that Node.js 20 lacks (`postMessageToThread`, `sqlite`).
 */
import { nodeVersionRefusal } from './node-version.ts'

const refusal = nodeVersionRefusal(process.versions.node)
if (refusal !== undefined) throw new Error(refusal)

// Removes what the build writes, so that a file that left src does not stay in the package.
import fs from 'node:fs'

fs.rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })

import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { openGroup } from 'tidemark'

// A file that is there already becomes the primary of a volume of its size.
for (const path of ['disk-copy', 'disk.img.tidemark']) await rm(path, { recursive: true, force: true })
await writeFile('disk.img', Buffer.alloc(1024 * 1024, 'what was in it before '))
const group = await openGroup({
  volumes: [{ name: 'disk', size: 1024 * 1024 }],
  secondary: { directory: 'disk-copy' }
})

// The first time all of it is compared with the copy; after a crash, what was written to lately.
const disk = await group.openPrimaryFile('disk', 'disk.img')
await disk.synchronised()

await disk.write(4096, Buffer.from('in the file, and held by two components'))
await disk.sync() // on stable storage in the file

// File and copy are the same: compared at a set boundary, while writers go on.
const report = await group.verify()
assert.ok(report.ok)
console.log('verified', report.volumes[0]?.bytes, 'bytes as of set', report.set)
await group.close()

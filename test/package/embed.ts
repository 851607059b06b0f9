import { rm } from 'node:fs/promises'
import { openGroup, openSecondary } from 'tidemark'

// Two volumes, kept consistent with each other in the directory `copy`.
await rm('copy', { recursive: true, force: true })
const group = await openGroup({
  volumes: [
    { name: 'accounts', size: 1024 * 1024 },
    { name: 'journal', size: 1024 * 1024 }
  ],
  formationPeriodMs: 100,
  secondary: { directory: 'copy' }
})

const source = group.openSource('bank')
const accounts = source.volume('accounts')
const journal = source.volume('journal')

// Awaited writes: each is held by two components, in threads of their own, when its promise resolves.
await journal.write(0, Buffer.from('withdraw 100'))
const receipt = await accounts.write(0, Buffer.from('balance 300'))
console.log('held by components', receipt.holders.join(' and '), 'in set', receipt.set)

// Several updates that are in one set, all or none.
await source.transaction([
  { volume: 'accounts', offset: 64, data: Buffer.from('savings 50') },
  { volume: 'accounts', offset: 128, data: Buffer.from('loan -50') }
])

// The hot path: no promise, no allocation.
for (let n = 0; n < 10_000; n++) {
  const line = Buffer.from(`entry ${n}`)
  while (!journal.tryPost(4096 + n * 16, line)) await journal.ready()
}
await source.flush()

const applied = await group.whenApplied()
console.log('the copy is consistent as of', new Date(applied.consistencyTime).toISOString())
await group.close()

const secondary = await openSecondary('copy', { readOnly: true })
console.log('clean:', (await secondary.inspect()).clean)
await secondary.close()

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { test } from 'node:test'
import { openGroup } from 'tidemark'
import { failComponent } from 'tidemark/chaos'

for (const how of ['terminate', 'exit', 'throw', 'hang'] as const) {
  test(`no deposit is lost when the component that took it fails (${how})`, async () => {
    await rm('tested', { recursive: true, force: true })
    const group = await openGroup({
      volumes: [{ name: 'accounts', size: 4096 }],
      hangTimeoutMs: 200,
      secondary: { directory: 'tested' }
    })
    const accounts = group.openSource('bank').volume('accounts')
    const { holders } = await accounts.write(0, Buffer.from('balance 300'))

    // One of the components that hold it, in the middle of the period. Writing goes on meanwhile.
    const [victim = 0] = holders
    const failing = failComponent(group, victim, how)
    await accounts.write(64, Buffer.from('balance 350'))
    const report = await failing
    console.log(`component ${victim}: ${report.reason}, redundant again after ${report.redundantMs.toFixed(1)} ms`)
    assert.equal(report.reason, how === 'hang' ? 'hung' : 'failed')

    await group.close()
    const copy = await readFile('tested/volumes/accounts.img')
    assert.equal(copy.toString('utf8', 0, 11), 'balance 300')
    assert.equal(copy.toString('utf8', 64, 75), 'balance 350')
  })
}

// The package is ESM only; CommonJS users of a supported Node.js reach it by require all the same, with its types.
import tidemark = require('tidemark')
import chaos = require('tidemark/chaos')

async function main(): Promise<void> {
  const group: tidemark.BackupGroup = await tidemark.openGroup({
    volumes: [{ name: 'required', size: 16 }],
    secondary: 'discard'
  })
  await group.openSource('source').volume('required').write(0, Buffer.from('required'))
  const { reason }: tidemark.ViewReport = await chaos.failComponent(group, 0, 'exit')
  await group.close()
  if (reason !== 'failed') throw new Error(`the component should have failed, not ${reason}`)
  // Both entries are one program: errors of one are instances of the class of the other.
  const error: unknown = await chaos.failComponent(group, 0).catch((caught: unknown) => caught)
  if (!(error instanceof tidemark.TidemarkError)) throw new Error(`not a TidemarkError: ${error}`)
  console.log('required')
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})

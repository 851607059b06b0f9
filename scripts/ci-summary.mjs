// The closing line of .ci/run: `N passed, N failed`, from vitest's JSON results (first argument) and the names of the
// steps that failed (the others). Exits 1 where anything failed.
import fs from 'node:fs'

const [file, ...failedSteps] = process.argv.slice(2)
const text = fs.readFileSync(file, 'utf8')
let passed = 0
let failed = 0
if (text.trim() !== '') {
  const results = JSON.parse(text)
  passed = results.numPassedTests
  failed = results.numFailedTests
  // A file that could not be loaded, or whose hooks failed, has no failed test of its own.
  failed += results.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')
  ).length
}
// The failures of the tests are counted one by one already, unless vitest failed in another way.
failed += failedSteps.filter((step) => step !== 'tests').length
if (failedSteps.includes('tests') && failed === 0) failed = 1
if (passed === 0 && failed === 0) failed = 1
if (failedSteps.length > 0) console.log(`failed: ${failedSteps.join('; ')}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

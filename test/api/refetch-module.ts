/** The refetch module of a test: a primary volume in shared memory that the test has put where this thread finds it. */
import { readFileSync } from 'node:fs'

export default async function refetch(volume: string, offset: number, length: number): Promise<Uint8Array> {
  const directory = process.env.TIDEMARK_TEST_PRIMARY ?? ''
  return readFileSync(`${directory}/${volume}`).subarray(offset, offset + length)
}

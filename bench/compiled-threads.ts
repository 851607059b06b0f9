import { inTemporaryDirectory } from './temporary-directory.ts'

const CACHE = 'NODE_COMPILE_CACHE'

/**
 * Threads as the package has them, in plain JavaScript. Each that runs our sources as they are loads a compiler that takes
 * the types out of them, and has to free it when it ends: while others mend what was lost, and from the same two cores.
 * Threads that are started meanwhile find the work of those before them in a directory, which is removed in the end; where
 * the environment names one already, that one is used.
 */
export async function withCompiledThreads<T>(measure: () => Promise<T>): Promise<T> {
  if (process.env[CACHE] !== undefined) return measure()
  return inTemporaryDirectory(async (directory) => {
    process.env[CACHE] = directory
    try {
      return await measure()
    } finally {
      delete process.env[CACHE]
    }
  })
}

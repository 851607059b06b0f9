/** Something that was computed twice: in the benchmark, and by what it measured. */
export interface Check {
  readonly name: string
  readonly expected: number
  readonly found: number
}

export function isHeld({ expected, found }: Check): boolean {
  return Object.is(expected, found)
}

/** Longer than anything here takes on a slow machine: what has not come by then will not come. */
export const HUNG_AFTER_MS = 60_000

/**
 * @param describe  what is known about it, where it hangs
 * @throws when `promise` takes longer than HUNG_AFTER_MS
 */
export async function notHung<T>(what: string, promise: Promise<T>, describe: () => unknown = () => ''): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const hung = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} hangs: nothing for ${HUNG_AFTER_MS} ms. ${JSON.stringify(describe(), null, 2)}`))
    }, HUNG_AFTER_MS)
  })
  try {
    return await Promise.race([promise, hung])
  } finally {
    clearTimeout(timer)
  }
}

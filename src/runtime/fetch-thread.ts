import type { FetchTask } from './messages.ts'

type Refetch = (volume: string, offset: number, length: number) => Promise<Uint8Array> | Uint8Array

/** Reads bytes of a primary volume again, with the host's module, off the host's event loop. */
export default async function fetchAgain({ module, volume, offset, length }: FetchTask): Promise<Uint8Array> {
  const { default: refetch } = (await import(module)) as { default: Refetch }
  const bytes = await refetch(volume, offset, length)
  // A view of shared or pooled memory would change, or be sent whole.
  return new Uint8Array(bytes)
}

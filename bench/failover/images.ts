import { readFile } from 'node:fs/promises'

/**
 * How many bytes of volume files are as they must be: source n owns the n-th part of each volume.
 * @param models  by source, by volume
 */
export async function countRight(
  paths: readonly string[],
  models: readonly (readonly Uint8Array[])[],
  ownBytes: number
): Promise<number> {
  let right = 0
  for (const [volume, path] of paths.entries()) {
    const image = await readFile(path)
    for (const [source, model] of models.entries()) {
      const found = image.subarray(source * ownBytes, (source + 1) * ownBytes)
      const wanted = model[volume] as Uint8Array
      for (let n = 0; n < ownBytes; n++) if (found[n] === wanted[n]) right++
    }
  }
  return right
}

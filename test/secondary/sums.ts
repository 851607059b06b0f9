import fs from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'

/** The table as docs/on-disk.md describes it, read by code of its own. Returns what is wrong in it, as text. */
export function wrongSums(directory: string): string[] {
  const { volumes } = JSON.parse(fs.readFileSync(path.join(directory, 'tidemark/format.json'), 'utf8')) as {
    volumes: { target: string; directory: string | null }[]
  }
  const table = fs.readFileSync(path.join(directory, 'tidemark/checksums'))
  const wrong: string[] = []
  let region = 0
  for (const volume of volumes.toSorted((a, b) => (`${a.target}.img` < `${b.target}.img` ? -1 : 1))) {
    const image = fs.readFileSync(
      path.join(volume.directory ?? path.join(directory, 'volumes'), `${volume.target}.img`)
    )
    let at = region
    for (let from = 0; from < image.length; from += 4096, at += 4) {
      const block = image.subarray(from, from + 4096)
      const wanted = (crc32(block) ^ crc32(Buffer.alloc(block.length))) >>> 0
      if (table.readUInt32LE(at) !== wanted) wrong.push(`${volume.target} ${from}`)
    }
    region += Math.ceil((at - region) / 4096) * 4096
  }
  if (table.length !== region) wrong.push(`${table.length} bytes instead of ${region}`)
  return wrong
}

/** Ranges of files, in a file of its own for programs that tests start. */
import fs from 'node:fs'

export interface Range {
  readonly from: number
  readonly to: number
}

export function readRange(file: string, { from, to }: Range): Buffer {
  const bytes = Buffer.alloc(to - from)
  const fd = fs.openSync(file, 'r')
  try {
    for (let done = 0; done < bytes.length; ) {
      const got = fs.readSync(fd, bytes, done, bytes.length - done, from + done)
      if (got === 0) throw new Error(`${file} ends at ${from + done}`)
      done += got
    }
  } finally {
    fs.closeSync(fd)
  }
  return bytes
}

/** In place: it stays the same file for the file system. */
export function writeRange(file: string, bytes: Buffer, from: number): void {
  const fd = fs.openSync(file, 'r+')
  try {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(fd, bytes, done, bytes.length - done, from + done)
    }
  } finally {
    fs.closeSync(fd)
  }
}

import fs from 'node:fs'
import path from 'node:path'

const PIECE_BYTES = 4 * 2 ** 20

/**
 * The yardstick: so many bytes to a new file, one piece after another, and one sync at the end. Returns milliseconds; that
 * the file is removed is not among them.
 */
export function writePlainly(directory: string, bytes: number, piece: Uint8Array): number {
  const file = path.join(directory, 'plain')
  const began = performance.now()
  const fd = fs.openSync(file, 'wx')
  try {
    for (let done = 0; done < bytes; ) done += fs.writeSync(fd, piece, 0, Math.min(piece.length, bytes - done))
    fs.fdatasyncSync(fd)
    return performance.now() - began
  } finally {
    fs.closeSync(fd)
    fs.rmSync(file)
  }
}

/** Bytes without a pattern that a file system could make less of. */
export function plainPiece(): Uint8Array {
  const piece = new Uint32Array(PIECE_BYTES / 4)
  for (let n = 0; n < piece.length; n++) piece[n] = Math.imul(n ^ (n >>> 7), 0x9e3779b1)
  return new Uint8Array(piece.buffer)
}

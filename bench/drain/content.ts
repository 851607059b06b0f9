/** Volumes are written in pieces that tell which write they are of, so that a few numbers say what every byte must be. */
export const PIECE_BYTES = 4096
export const PIECE_WORDS = PIECE_BYTES / 4

/** Every word differs from write to write, and from its neighbours: nothing can be missing, stale, or moved unnoticed. */
export function fillPiece(words: Int32Array, from: number, number: number): void {
  const base = Math.imul(number, 0x85ebca6b)
  for (let n = 0; n < PIECE_WORDS; n++) words[from + n] = (base + Math.imul(n, 0x9e3779b1)) | 0
}

/** What was written last to each piece of each volume, as the number of the write; 0 for none: it reads as zeros. */
export class LastWritten {
  private readonly numbers: Uint32Array[]
  private next = 1

  constructor(volumes: number, volumeBytes: number) {
    this.numbers = Array.from({ length: volumes }, () => new Uint32Array(volumeBytes / PIECE_BYTES))
  }

  /** Makes `words` the next write at this place of a volume. */
  write(volume: number, offset: number, words: Int32Array): void {
    const numbers = this.numbers[volume] as Uint32Array
    const pieces = words.length / PIECE_WORDS
    for (let n = 0; n < pieces; n++) {
      numbers[offset / PIECE_BYTES + n] = this.next
      fillPiece(words, n * PIECE_WORDS, this.next++)
    }
  }

  /** All bytes of a volume as they must be. */
  image(volume: number): Uint8Array {
    const numbers = this.numbers[volume] as Uint32Array
    const words = new Int32Array(numbers.length * PIECE_WORDS)
    for (const [piece, number] of numbers.entries()) {
      if (number > 0) fillPiece(words, piece * PIECE_WORDS, number)
    }
    return new Uint8Array(words.buffer)
  }
}

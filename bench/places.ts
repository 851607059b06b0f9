/** Volumes are never written as far as that: they take no room. */
export const VOLUME_BYTES = 64 * 2 ** 20

/** Where the n-th update of a source goes: all volumes in turn, one place after another. The same for every contestant. */
export class Places {
  private readonly volumes: number
  private readonly lengthBytes: number
  private readonly places: number
  private turn = 0
  private place = 0
  volume = 0
  offset = 0

  constructor(volumes: number, volumeBytes: number, lengthBytes: number) {
    this.volumes = volumes
    this.lengthBytes = lengthBytes
    this.places = Math.floor(volumeBytes / lengthBytes)
  }

  next(): void {
    this.volume = this.turn
    this.offset = this.place * this.lengthBytes
    if (++this.turn < this.volumes) return
    this.turn = 0
    this.place = this.place + 1 < this.places ? this.place + 1 : 0
  }
}

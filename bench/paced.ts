/** How often what is due is posted: bursts are so small that they add little to what is measured. */
const PAUSE_MS = 0.2

/**
 * Posts at an even rate from this thread, asleep in between. One that cannot keep up posts on without a pause.
 * @returns the number of updates
 */
export function postPaced(put: () => void, perSecond: number, forMs: number): number {
  const bed = new Int32Array(new SharedArrayBuffer(4))
  const began = performance.now()
  let posted = 0
  for (;;) {
    const elapsed = performance.now() - began
    const due = Math.floor((Math.min(elapsed, forMs) * perSecond) / 1000)
    for (; posted < due; posted++) put()
    if (elapsed >= forMs) return posted
    Atomics.wait(bed, 0, 0, PAUSE_MS)
  }
}

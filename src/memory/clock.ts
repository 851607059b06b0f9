/**
 * Microseconds since the epoch by a clock that only goes forward, alike in all threads of a process: latencies are taken
 * with it. Low 32 bits of it fit a word.
 */
export function clockMicroseconds(): number {
  return (performance.timeOrigin + performance.now()) * 1000
}

// Looked up once: as globals each look is a call, and what it returns is allocated.
const clock = globalThis.performance
const originMicroseconds = clock.timeOrigin * 1000

/**
 * Microseconds since the epoch by a clock that only goes forward, alike in all threads of a process: latencies are taken
 * with it. Low 32 bits of it fit a word.
 */
export function clockMicroseconds(): number {
  return originMicroseconds + clock.now() * 1000
}

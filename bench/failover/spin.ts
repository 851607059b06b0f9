/** Blocks its thread. */
export function spin(forMs: number): void {
  const until = performance.now() + forMs
  while (performance.now() < until);
}

import type { Environment } from '../document.ts'

/** 2026-11-25 03:47 UTC */
export function dateOf({ date }: Environment): string {
  return `${date.slice(0, 16).replace('T', ' ')} UTC`
}

export function machineOf({ cores, cpu, platform }: Environment): string {
  return `${cores} ${cores === 1 ? 'core' : 'cores'}, ${cpu}, ${platform}`
}
